"""One step of a model, written down while it happens.

Deltas are appended in batches, at most `conf.deltas_per_second` a second for a step, while the model goes on
speaking; fewer while the writer has much to do, and others go before them. The end of a step is one append:
the whole texts, the tool calls' arguments, the usage. So a step is either complete, with its cost counted
once, or it never happened and is said again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from django.utils import timezone

from entities.agent.messages import Block, Response, Text, Thinking, ToolCall
from entities.agent.model import BlockDelta, BlockStarted, ModelEvent
from entities.catalog import log, pace
from entities.catalog.sanitize import MAX_COMPLAINT, MAX_TEXT, require_arguments, shortened, storable
from entities.conf import conf
from entities.context import Session
from shared_state.api import NewEvent

MAX_NAME, MAX_ID = 200, 200
"""How many bytes of a tool's name and of a call's id are kept, as a model gave them."""
MAX_SHOWN = 500
"""How much of wrong arguments, and of what is wrong with them, the model reads again."""
MAX_DELTA = 10_000
"""How many characters one delta carries at the most."""
BACK_OFF = 4
"""A recorder waits so many times as long as its append took, or longer: a slow writer gets less to do."""
_KINDS = {"text": "text", "thinking": "reasoning", "tool_call": "tool_call"}
_DELTAS = {
    "text": ("text_delta", "text_id"),
    "reasoning": ("reasoning_delta", "reasoning_id"),
    "tool_call": ("tool_call_delta", "tool_call_id"),
}


@dataclass
class _Open:
    """A block on its way."""

    key: str
    type: str
    value: dict[str, Any]
    written: bool = False
    waiting: str = ""
    length: int = 0
    deltas: int = 0
    began: float = field(default_factory=time.monotonic)
    points: list[pace.Point] = field(default_factory=list)


class StepRecorder:
    """Use as `async with`: it starts writing at once, and stops when the block is left."""

    def __init__(
        self, session: Session, run: str, number: int, first: list[NewEvent], spent: Mapping[str, float],
        limit: int = 0,
    ) -> None:  # fmt: skip
        """`first`: events to begin with; `spent`: tokens and cost of the run's steps before this one.

        `limit`: how many tokens the answer may have.
        """
        self._spent = spent
        self._limit = limit
        self._session = session
        self._run = run
        self._step = f"{run}-s{number}"
        self._number = number
        self._started = timezone.now()
        self._blocks: dict[int, _Open] = {}
        self._queue: list[NewEvent] = [*first, self._step_event("insert", {"status": "started"})]
        self._dirty = asyncio.Event()
        self._dirty.set()
        self._over = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def take(self, event: ModelEvent) -> None:
        """Note what happened. Raises what writing it down raised (`StaleEpoch`, for one)."""
        if self._writing is not None and self._writing.done():
            self._writing.result()
        if isinstance(event, BlockStarted):
            self._open(event)
        elif isinstance(event, BlockDelta):
            self._blocks[event.index].waiting += event.delta
            self._dirty.set()

    async def complete(self, response: Response) -> None:
        """Write the end of the step, all in one append."""
        await self._stop()
        now = timezone.now()
        events = self._collect()
        for index, block in enumerate(response.blocks):
            cut = _cut_off(response, index, self._limit)
            events += self._whole(index, block, log.iso(now), cut)
        usage = response.usage
        ended: dict[str, Any] = {
            "status": "completed", "finish_reason": response.finish_reason,
            "stop_detail": shortened(response.stop_detail, MAX_COMPLAINT) or None,
            "model_provider": response.provider, "model_id": shortened(response.model, MAX_NAME),
            "duration_ms": round((now - self._started).total_seconds() * 1000),
            "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens,
            "cost_usd": response.cost_usd, "ended_at": log.iso(now),
        }  # fmt: skip
        ended["run_totals"] = {"steps": self._number} | {
            name: before + (ended[name] or 0) for name, before in self._spent.items()
        }
        events.append(self._step_event("update", ended))
        await self._session.append(events, self._run)

    def _open(self, event: BlockStarted) -> None:
        value: dict[str, Any] = {"run_id": self._run, "started_at": log.iso(timezone.now())}
        if event.kind == "tool_call":
            value |= {
                "step": self._step, "status": "started",
                "tool_call_id": shortened(storable(event.tool_call_id), MAX_ID),
                "tool_name": shortened(storable(event.tool_name), MAX_NAME),
            }  # fmt: skip
            self._dirty.set()
        else:
            value["status"] = "streaming"
        self._blocks[event.index] = _Open(f"{self._step}-b{event.index}", _KINDS[event.kind], value)

    async def _write_on(self) -> None:
        """Append what came in, then wait a little, so that the next append carries more."""
        while not self._over.is_set():
            await self._dirty.wait()
            self._dirty.clear()
            speaking, began = self._is_speaking(), time.monotonic()
            events = self._collect()
            if events:  # the first words wait for nothing
                await self._session.append(events, self._run, background=speaking)
            if self._is_speaking():
                took = time.monotonic() - began
                with contextlib.suppress(TimeoutError):
                    pause = max(1 / conf.deltas_per_second, took * BACK_OFF)
                    await asyncio.wait_for(self._over.wait(), pause)

    def _is_speaking(self) -> bool:
        """Whether something was said already."""
        return any(block.deltas for block in self._blocks.values())

    def _collect(self) -> list[NewEvent]:
        events, self._queue = self._queue, []
        for block in self._blocks.values():
            if not block.written and (block.waiting or block.type == "tool_call"):
                events.append(log.new(block.type, block.key, block.value))
                block.written = True
            while block.waiting:
                events.append(_delta(block, self._run))
        return events

    async def _stop(self) -> None:
        """End the writing. An append under way is waited for: what comes next may depend on it."""
        task, self._writing = self._writing, None
        if task is not None:
            self._over.set()
            self._dirty.set()
            await asyncio.shield(task)

    def _whole(self, index: int, block: Block, now: str, cut: str) -> list[NewEvent]:
        """The completed row of a block. `cut` is what is said of a call that is not whole."""
        known = self._blocks.get(index)
        if known is None:
            self._open(BlockStarted(index, *_described(block)))
            known = self._blocks[index]
        value = {**known.value, "ended_at": now, "pace": pace.encode(known.points)}
        if isinstance(block, Text):
            value |= {"status": "completed", "content": shortened(block.text, MAX_TEXT)}
        elif isinstance(block, Thinking):
            value |= {
                "status": "completed", "content": shortened(block.text, MAX_TEXT),
                "signature": _whole_or_none(block.signature), "encrypted": _whole_or_none(block.redacted),
            }  # fmt: skip
        elif isinstance(block, ToolCall):
            value |= _called(block, cut) or {"status": "args_complete", "args": dict(block.arguments)}
            if value["status"] == "args_complete":
                del value["ended_at"]
        return [log.new(known.type, known.key, value, "update" if known.written else "insert")]

    def _step_event(self, operation: str, value: dict[str, Any]) -> NewEvent:
        started = {"run_id": self._run, "step_number": self._number, "started_at": log.iso(self._started)}
        return log.new(
            "step", self._step, {**started, **value}, "upsert" if operation == "insert" else operation
        )


def _whole_or_none(opaque: str) -> str | None:
    """What only its provider can read is kept as it is, or not at all."""
    return opaque if opaque and len(opaque) <= MAX_TEXT and opaque.isascii() else None


def _called(call: ToolCall, cut: str) -> dict[str, Any] | None:
    """Why a call cannot be made, if it was `cut` or its arguments are nothing to call with."""
    if cut:
        why = cut
    elif call.invalid:
        wrong = (
            f"cannot be used, since {shortened(call.why, MAX_SHOWN)}"
            if call.why
            else "were not a JSON object"
        )
        why = f"The arguments {wrong}: {call.invalid[:MAX_SHOWN]}"
    else:
        try:
            require_arguments(call.arguments)
        except ValueError as error:
            why = f"The arguments cannot be used: {shortened(str(error), MAX_SHOWN)}."
        else:
            return None
    return {"status": "failed", "args": {}, "error": shortened(why, MAX_COMPLAINT), "duration_ms": 0}


def _cut_off(response: Response, index: int, limit: int) -> str:
    """What the model is told of a call that its limit cut; empty for one that is whole."""
    call = response.blocks[index]
    is_last = index == len(response.blocks) - 1
    if response.finish_reason != "max_tokens" or not is_last or not isinstance(call, ToolCall):
        return ""
    if not call.invalid:
        return ""
    bound = f"at {limit:,} tokens" if limit and not response.stop_detail else "at a limit"
    return (
        f"Your answer was cut {bound}, in the middle of this call, so it was not made. Making it again as it "
        "was would be cut again: make a shorter call, or do the work in several smaller ones."
    )


def _delta(block: _Open, run: str) -> NewEvent:
    type, reference = _DELTAS[block.type]
    piece, block.waiting = block.waiting[:MAX_DELTA], block.waiting[MAX_DELTA:]
    value = {reference: block.key, "run_id": run, "delta": piece, "start": block.length}
    event = log.new(type, f"{block.key}-d{block.deltas}", value)
    block.length += len(piece)
    block.deltas += 1
    block.points.append((round((time.monotonic() - block.began) * 1000), block.length))
    return event


def _described(block: Block) -> tuple[Any, str, str]:
    if isinstance(block, ToolCall):
        return "tool_call", block.id, block.name
    return ("thinking" if isinstance(block, Thinking) else "text"), "", ""
