"""One wake, from lease to rest, as named steps over one record.

Each step leaves a state from which another process can go on: the wake is claimed before, and settled, put
off, parked or handed back after; in between only the log changes, under the lease's epoch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from django.db import DatabaseError
from django.utils import timezone

from entities.agent import prompt, run_state
from entities.agent.loop import run_agent
from entities.agent.model import ModelError, bounded_wait
from entities.catalog import log
from entities.catalog.sanitize import MAX_COMPLAINT, said
from entities.conf import conf
from entities.context import HandlerContext, Session, Setup, WakeEvent
from entities.exceptions import EntitiesError, ForeignError, RunAborted, RunFailed, WorkerDied
from entities.models import Wake
from entities.types.foreign import called
from entities.types.registry import TypeDefinition, registry
from entities.wakes import lease
from entities.wakes.lease import Claimed
from shared_state.api import (
    Coalesced,
    Event,
    EventRange,
    NewEvent,
    Provenance,
    Row,
    SharedStateError,
    StaleEpoch,
    Verb,
    in_thread,
    read,
    read_ranges,
    row_of,
    submit,
    written_by_others,
)
from shared_state.models import RowRecord

T = TypeVar("T")
SHORT = 1_000
"""How many offsets a wake may cover to be read together with others."""
MOST_EVENTS = 10_000
"""How many events of its log a wake is given."""
_Loaded = tuple[WakeEvent, list[Event], bool, bool]
"""A wake, its events, whether it is its agent's first, and whether a run of it is to be gone on with."""
logger = structlog.get_logger(__name__)


@dataclass
class Execution:
    """What is known of a wake while it runs."""

    claimed: Claimed
    session: Session
    context: HandlerContext | None = None
    definition: TypeDefinition | None = None
    interrupted: bool = False
    ending: bool = False
    """Whether its lease is being given back by itself."""
    by_itself: bool = False
    """Whether the handler came to its end, rather than being cut off."""
    _begun: bool = False

    @property
    def url(self) -> str:
        """The entity's address."""
        return self.claimed.entity.url

    def interrupt(self) -> bool:
        """Mark that the run is to end as stopped, not to be handed on.

        Returns whether its task is to be cancelled for that: once, and not before it began.
        """
        first, self.interrupted = not self.interrupted, True
        if self.context is not None:
            self.context.signal.set()
        return first and self._begun

    def begin(self) -> None:
        """From now on cancelling the task settles the wake, or gives it back."""
        self._begun = True


def prepare(claimed: Claimed) -> Execution:
    """The record for a claimed wake. One that was asked to stop, wherever it ran before, does not begin."""
    return Execution(claimed, Session(claimed), interrupted=bool(claimed.wake.interrupted_by))


async def execute(execution: Execution) -> None:
    """Run a wake to its end. Never raises but for cancellation, after which the wake was handed back."""
    execution.begin()
    try:
        await _build(execution)
        await _call(execution)
        execution.by_itself = not execution.interrupted  # one that heard may end in its own way
        await _close_orphans(execution, "handler_ended", "The handler ended before its run did.")
        await _settle(execution)
    except (RunFailed, RunAborted) as error:
        logger.info("run_ended", entity=execution.url, reason=said(error))
        aborted = isinstance(error, RunAborted)
        execution.interrupted |= aborted  # it may have seen the signal before it was told
        execution.by_itself = not aborted
        await _quietly(_ended, execution)
    except StaleEpoch:
        logger.warning("lease_lost", entity=execution.url)  # somebody else runs it; leave everything to them
    except asyncio.CancelledError:
        await _stopped(execution)
        raise
    except ModelError as error:
        wait = bounded_wait(error.retry_after or 0.0)
        await _put_off(execution, f"{error.code}: {said(error)}", wait)
    except Exception as error:
        logger.exception("handler_failed", entity=execution.url)
        await _put_off(execution, said(error, named=not isinstance(error, ForeignError)))


async def _build(execution: Execution) -> None:
    """Find the handler and make its context. Raises `RunAborted`, `UnknownType`, `WorkerDied`."""
    if execution.interrupted:
        raise RunAborted
    entity = execution.claimed.entity
    if execution.claimed.wake.attempts > conf.max_deaths:
        raise WorkerDied(f"Its worker died {execution.claimed.wake.attempts - 1} times while running it.")
    execution.definition = registry.get(entity.type)
    event, events, first, resuming = await _loading(execution.claimed)
    setup = Setup(execution.definition, run_agent, events, first, resuming)
    execution.context = HandlerContext(execution.session, event, setup)


def _load_all(asked: Sequence[Claimed]) -> dict[Claimed, _Loaded | Exception]:
    """What wakes that begin at the same time must know, read together.

    What is wrong with one is its own; a read that fails for all of them fails each.
    """
    logs = _logs(asked)
    set_up = written_by_others([(one.entity.stream_id, "manifest", one.key) for one in asked])
    found: dict[Claimed, _Loaded | Exception] = {}
    for claimed in asked:
        try:
            found[claimed] = _loaded(claimed, logs[claimed], claimed.entity.stream_id not in set_up)
        except (DatabaseError, SharedStateError, EntitiesError, LookupError, TypeError, ValueError) as error:
            found[claimed] = error
    return found


def _logs(asked: Sequence[Claimed]) -> dict[Claimed, list[Event]]:
    """The events that wakes cover.

    Between a message and its wake the log may have grown by a whole run; that is nothing new.
    """
    short = [one for one in asked if one.wake.to_offset - one.wake.from_offset <= SHORT]
    found = dict(zip(short, read_ranges([_range(one) for one in short]), strict=True))
    for one in asked:
        if one not in found:
            stream, type, first, _ = _range(one)
            found[one] = read(stream, after=first - 1, limit=MOST_EVENTS, types=[type] if type else None)
    return found


def _range(claimed: Claimed) -> EventRange:
    found = claimed.wake
    type = "inbox" if found.reason == Wake.Reason.INBOX else ""
    return claimed.entity.stream_id, type, max(1, found.from_offset), found.to_offset


def _loaded(claimed: Claimed, log_of_wake: Sequence[Event], first_wake: bool) -> _Loaded:
    found = claimed.wake
    events = [
        event for event in log_of_wake
        if event.offset < found.to_offset
        and (found.reason != Wake.Reason.INBOX or event.operation == "insert")
    ]  # fmt: skip
    resuming = not claimed.first and bool(_runs_of(claimed))
    return _wake_event(found, events), events, first_wake, resuming


_loading: Coalesced[Claimed, _Loaded] = Coalesced(_load_all)


def _wake_event(found: Wake, events: list[Event]) -> WakeEvent:
    if found.reason == Wake.Reason.INBOX:
        messages = [event.value for event in events if event.type == "inbox"]
        payload: Any = messages[-1]["payload"] if messages else None
        source = str(messages[-1]["from"]) if messages else found.source
        summary = f"{len(messages)} message{'s' if len(messages) != 1 else ''}"
        return WakeEvent(source, "inbox", found.from_offset, found.to_offset, payload, summary)
    payload = {
        "timestamp": log.iso(found.created_at), "source": found.source, "timeout": False, "changes": [],
        "finished_child": None, "other_children": [], "more_children": 0, **found.payload,
    }  # fmt: skip
    summary = prompt.describe_wake(payload).partition("\n")[0].strip("[]")
    return WakeEvent(found.source, "wake", found.from_offset, found.to_offset, payload, summary)


async def _call(execution: Execution) -> None:
    """Call the handler, which is foreign code: whatever it raises is the caller's to settle."""
    if execution.context is None or execution.definition is None:
        raise EntitiesError("The execution was not built.")
    definition, context = execution.definition, execution.context
    limit = definition.timeout or conf.handler_timeout
    handler = definition.handler
    await called(partial(handler, context, context.wake), limit=limit, name=handler.__name__)


async def _close_orphans(execution: Execution, code: str, message: str) -> None:
    """No run may be left open by a wake that is over: the page would show it running for ever."""
    if execution.claimed.first and not execution.session.opened_run:
        return
    runs = await in_thread(_runs_of, execution.claimed)
    for key in (row.key for row in runs if row.value["status"] == "started"):
        events = await in_thread(_closing, execution, key, code, message)
        await execution.session.append(events, key)


def _closing(execution: Execution, key: str, code: str, message: str) -> list[NewEvent]:
    stream = execution.session.stream
    data = run_state.load(stream, key, [])
    return run_state.closing(stream, data, code, message, log.iso(timezone.now()))


def _runs_of(claimed: Claimed) -> list[Row]:
    since = RowRecord.objects.filter(stream=claimed.entity.stream_id, created__gte=claimed.wake.from_offset)
    found = since.filter(type="run", key__startswith=f"{claimed.wake.number}.")
    return [row_of(record) for record in found]


async def _settle(execution: Execution) -> None:
    await _unit(execution, lease.settling(execution.claimed, by_itself=execution.by_itself))


async def _put_off(execution: Execution, message: str, not_before: float = 0.0) -> None:
    """Again later; or, after the last attempt, parked, and its run ended as failed in the same unit."""
    claimed = execution.claimed
    try:
        closing = []
        if claimed.wake.attempts >= conf.max_attempts:
            closing = await in_thread(_closing_events, execution, message)
        failing = lease.failing(claimed, message, not_before=not_before, closing=closing)
        due = await _unit(execution, failing)
    except StaleEpoch:
        logger.warning("lease_lost", entity=execution.url)
        return
    if due is None:
        logger.error("wake_parked", entity=execution.url, error=message[:MAX_COMPLAINT])


def _closing_events(execution: Execution, message: str) -> list[tuple[str, list[NewEvent]]]:
    """By run, what ends it as failed; a handler that failed before it had one gets one to say so.

    A parent that waits for a run to finish hears of it by this.
    """
    runs = _runs_of(execution.claimed)
    if runs:
        return [
            (row.key, _closing(execution, row.key, run_state.GIVEN_UP, message))
            for row in runs
            if row.value["status"] == "started"
        ]
    key, now = f"{execution.claimed.wake.number}.0", log.iso(timezone.now())
    run = {
        "status": "failed", "finish_reason": run_state.GIVEN_UP, "wake": execution.claimed.key,
        "started_at": now, "ended_at": now,
    }  # fmt: skip
    return [(key, [log.new("run", key, run)])]


async def _stopped(execution: Execution) -> None:
    """A signal, or the worker stops: settle the wake, or give it back."""
    await _quietly(_ended if execution.interrupted else _hand_back, execution)


async def _ended(execution: Execution) -> None:
    """The run is over though the handler did not come to its end: nothing is left open, the wake is done."""
    if execution.interrupted:
        await _close_orphans(execution, "aborted", "Stopped.")
    else:
        await _close_orphans(execution, "handler_ended", "The handler ended before its run did.")
    await _settle(execution)


async def _hand_back(execution: Execution) -> None:
    await _unit(execution, lease.handing_back(execution.claimed))


async def _quietly(step: Any, execution: Execution) -> None:
    """A last step that a lost lease makes unnecessary."""
    try:
        await step(execution)
    except StaleEpoch:
        logger.info("lease_lost", entity=execution.url)


async def _unit(execution: Execution, run: Verb[T]) -> T:
    """Do what ends the lease."""
    execution.ending = True
    provenance = Provenance(execution.session.writer, execution.claimed.key)
    return await submit(run, provenance=provenance, fence=execution.claimed.fence)
