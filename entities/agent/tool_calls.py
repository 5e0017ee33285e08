"""Tool calls: each runs once; what it changes here and its result become visible in one unit.

A call that was cut off after it began is run again only if its tool says that this does no harm; otherwise
the model is told that nobody knows. Effects on our own database need no such promise: they are staged, and
committed with the result or not at all. If somebody was faster with the same row, they are worked out anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.utils import timezone

from entities.catalog import log
from entities.catalog.sanitize import MAX_COMPLAINT, fitted, said, shortened
from entities.context import Scope, Session
from entities.exceptions import EntitiesError, EntityExists
from entities.types.tool import Tool, ToolResult
from shared_state.api import (
    Row,
    RowExists,
    RowNotFound,
    SharedStateError,
    StaleEpoch,
    StreamExists,
    Unit,
    VersionConflict,
)

logger = structlog.get_logger(__name__)
UNKNOWN_OUTCOME = (
    "The process stopped while this tool ran; whether it took effect is not known. "
    "Check before you try again."
)  # fmt: skip

MAX_NAME = 200
"""How many bytes of a name that no tool has are kept."""
MAX_DETAILS = 60_000
"""How many bytes of a result's details are kept: its event carries arguments and result besides."""

MAX_TRIES = 8
"""How often a call is made that finds each time, when it commits, that somebody was faster."""
OVERTAKEN = (RowExists, RowNotFound, VersionConflict, EntityExists, StreamExists)
"""What a commit raises then."""


async def run_calls(session: Session, run: str, rows: Sequence[Row], tools: Mapping[str, Tool]) -> bool:
    """Run the calls that have no result yet, side by side. Returns whether one asked to end the run."""
    pending = [row for row in rows if row.value["status"] not in ("completed", "failed")]
    try:
        async with asyncio.TaskGroup() as group:
            begun = [group.create_task(_run_call(session, run, row, tools)) for row in pending]
    except BaseExceptionGroup as several:  # the lease is lost: no call goes on, and one error says so
        raise several.exceptions[0] from None
    return any(call.result() for call in begun) or any(row.value.get("terminate") for row in rows)


async def _run_call(session: Session, run: str, row: Row, tools: Mapping[str, Tool]) -> bool:
    tool = tools.get(row.value["tool_name"])
    if tool is None:
        known = ", ".join(sorted(tools)) or "none"
        name = shortened(row.value["tool_name"], MAX_NAME)
        await _fail(
            session, run, row, shortened(f"There is no tool {name!r}; there are {known}.", MAX_COMPLAINT)
        )
        return False
    if row.value["status"] == "executing" and not tool.retry_safe:
        await _fail(session, run, row, UNKNOWN_OUTCOME)
        return False
    started = log.iso(timezone.now())
    value = {**row.value, "status": "executing", "started_at": started}
    if row.value["status"] != "executing":
        await session.append([log.new("tool_call", row.key, value, "update")], run)
    return await _execute(session, run, row.key, value, tool)


async def _execute(session: Session, run: str, key: str, value: dict[str, Any], tool: Tool) -> bool:
    clock, before = time.monotonic(), ""
    for left in reversed(range(MAX_TRIES if tool.retry_safe else 1)):
        try:
            return await _try(session, run, key, value, tool, clock, before)
        except StaleEpoch:
            raise
        except (EntitiesError, SharedStateError) as error:  # nothing was done
            before = _said(error)
            if not left or not isinstance(error, OVERTAKEN):
                await _fail(session, run, key, before, value, clock)
                return False
    return False


async def _try(
    session: Session, run: str, key: str, value: dict[str, Any], tool: Tool, clock: float, before: str
) -> bool:
    """Make the call and commit what came of it. Raises what the commit refuses, and `StaleEpoch`.

    A safe tool that collides with a row may have been overtaken too, after it looked; if it collides in the
    very words of the try `before`, it was not.
    """
    scope = Scope(key, run, key, atomic=True)
    token = session.enter(scope)
    try:
        result = await tool.call(value["args"] or {})
    except StaleEpoch:
        raise
    except Exception as error:  # a tool is foreign code: the model hears what it raises
        session.leave(token)
        if tool.retry_safe and isinstance(error, OVERTAKEN) and _said(error) != before:
            raise
        if not isinstance(error, EntitiesError | SharedStateError):
            logger.info("tool_failed", tool=tool.name, error=_said(error))
        await _fail(session, run, key, _said(error), value, clock)
        return False
    session.leave(token)
    done = {**value, **_outcome(result), "status": "completed", **_ended(clock)}

    def finish(unit: Unit) -> None:
        unit.append(session.stream, [log.new("tool_call", key, done, "update")])

    await session.commit(scope, finish)
    return result.terminate


def _outcome(result: ToolResult) -> dict[str, Any]:
    return {
        "result": result.content, "terminate": result.terminate,
        "details": fitted(result.details, MAX_DETAILS),
    }  # fmt: skip


def _ended(clock: float) -> dict[str, Any]:
    return {"ended_at": log.iso(timezone.now()), "duration_ms": round((time.monotonic() - clock) * 1000)}


def _said(error: Exception) -> str:
    return said(error, named=not isinstance(error, EntitiesError | SharedStateError))


async def _fail(
    session: Session, run: str, row: Row | str, message: str,
    value: dict[str, Any] | None = None, clock: float | None = None,
) -> None:  # fmt: skip
    key = row if isinstance(row, str) else row.key
    known = value if value is not None else dict(row.value) if isinstance(row, Row) else {}
    failed = {**known, "status": "failed", "error": message, **_ended(clock or time.monotonic())}
    await session.append([log.new("tool_call", key, failed, "update")], run)
