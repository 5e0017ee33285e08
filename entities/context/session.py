"""One handler's door to the log: every change carries the lease's epoch and where it comes from.

A change is a function of a unit. Outside `atomic` it is committed when it is awaited. Inside, it is *staged*:
worked out once in a draft over what is committed, so the handler sees real results and real errors at each
line, and nothing is visible to others until all of them are committed in one unit at the end. Tools run like
that: their changes and their result become visible together. The commit checks what was read; see `_redo`.

A handler that is run again after a crash repeats itself: each change has a key made of the entity, the wake
(or the tool call), what it does and to what, so the second time it finds the first and changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from entities.lookups import WAKES
from entities.models import Entity
from entities.wakes.lease import Claimed, require_uninterrupted
from shared_state.api import (
    Draft,
    Event,
    Fence,
    Needs,
    NewEvent,
    Provenance,
    Row,
    Unit,
    Verb,
    VersionConflict,
    append,
    committed,
    in_thread,
    submit,
    together,
)

MAX_NAME = 160
"""The longest description in a change's key; a longer one is cut, and told apart by its hash."""

MOST_TRIES = 64
"""How often changes are worked out that others overtake. Each time somebody else got on, so few need many."""
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1
"""Before changes are worked out anew, in seconds, at most; doubled each time."""

T = TypeVar("T")
Operation = Callable[[Unit], Any]
Place = tuple[int, str, str]
"""A stream, and the type and key of a row."""


class Target(Protocol):
    """The stream that a change of a row is for."""

    def within(self, unit: Unit) -> int:
        """Its id, within a unit."""
        ...

    @property
    def needs(self) -> Needs:
        """What a unit that changes it needs."""
        ...


@dataclass(slots=True)
class Staged:
    """A change that waits for the commit. `events`: what it came to, if it is one of rows of `target`."""

    operation: Operation
    target: Target | None = None
    events: Sequence[NewEvent] = ()
    blocks: tuple[object, ...] = ()
    """The blocks within the scope that it was made in."""


class Reader(Protocol):
    """Where rows are read: a draft, or what is committed."""

    def row(self, stream: int, type: str, key: str) -> Row | None:
        """One row."""
        ...

    def rows(self, stream: int, type: str) -> list[Row]:
        """All rows of a type."""
        ...

    def rows_where(self, stream: int, type: str, fields: Mapping[str, Any]) -> list[Row]:
        """Those whose fields equal these values."""
        ...

    def count_of(self, stream: int, type: str) -> int:
        """How many there are."""
        ...


class Scope:
    """Within which changes are named and, if it is atomic, held back."""

    def __init__(self, key: str, run: str = "", tool_call: str = "", *, atomic: bool = False) -> None:
        self.key = key
        self.run = run
        self.tool_call = tool_call
        self.atomic = atomic
        self.staged: list[Staged] = []
        self.draft: Draft | None = None
        self.seen: dict[Place, int] = {}
        """Which version of each row was read last; 0 for none."""
        self.turn = asyncio.Lock()
        """A draft is for one at a time; the tasks of a handler may change things side by side."""
        self._counts: Counter[str] = Counter()

    def name(self, what: str) -> str:
        """A key for the n-th time that `what` is done here."""
        self._counts[what] += 1
        count = self._counts[what]
        if len(what) > MAX_NAME:
            what = f"{what[: MAX_NAME - 33]}#{uuid.uuid5(uuid.NAMESPACE_URL, what).hex}"
        return f"{self.key}/{what}/{count}"


class Session:
    """The state of one handler invocation that is not the handler's own."""

    def __init__(self, claimed: Claimed) -> None:
        self.claimed = claimed
        self.entity: Entity = claimed.entity
        self.stream: int = claimed.entity.stream_id
        self.writer = f"agent:{claimed.entity.url}"
        self.opened_run = False
        """Whether a run was begun here, which must not be left open."""
        self._wake_scope = Scope(claimed.key)
        self._scope: ContextVar[Scope] = ContextVar(f"scope-{claimed.wake.pk}", default=self._wake_scope)
        self._blocks: ContextVar[tuple[object, ...]] = ContextVar(f"blocks-{claimed.wake.pk}", default=())

    @property
    def scope(self) -> Scope:
        """The scope of the running task."""
        return self._scope.get()

    @property
    def fence(self) -> Fence:
        """The right to write."""
        return self.claimed.fence

    def key(self, what: str) -> str:
        """A change's key for any stream. In a shared one, others are in their first wake and call as well."""
        return f"{self.stream}:{self.scope.name(what)}"

    def provenance(self) -> Provenance:
        """Where a change that is made now comes from."""
        scope = self.scope
        return Provenance(self.writer, self.claimed.key, scope.run, scope.tool_call)

    def enter(self, scope: Scope) -> Any:
        """Make `scope` the running task's; give the answer to `leave`."""
        return self._scope.set(scope)

    def leave(self, token: Any) -> None:
        """Go back to the scope before."""
        self._scope.reset(token)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """A part of an atomic scope: what is raised inside undoes what was staged inside, and goes on."""
        scope, block = self.scope, object()
        token, done = self._blocks.set((*self._blocks.get(), block)), False
        try:
            yield
            done = True
        finally:
            self._blocks.reset(token)
            if not done:
                await _in_turn(scope, lambda: _undo(scope, block, self.provenance()))

    async def change(self, operation: Callable[[Unit], T]) -> T:
        """Do a change, or stage it. Raises what it raises, and `StaleEpoch`."""
        scope, provenance = self.scope, self.provenance()
        if not scope.atomic:
            return await submit(operation, provenance=provenance, fence=self.fence)
        return await self._hold_back(scope, operation, provenance)

    async def change_row(self, verb: Verb[T], target: Target, again: Callable[[Unit, NewEvent], T]) -> T:
        """The same for one row of `target`, where `verb` may call what users wrote: never in the writer.

        It is worked out once. What it came to is done by `again`, if the row is as it was found; if somebody
        was faster, it is worked out anew. Raises what the verb raises.
        """
        scope, provenance = self.scope, self.provenance()
        if scope.atomic:
            return await self._hold_back(scope, verb, provenance, target)
        for number in range(1, MOST_TRIES + 1):
            result, events = await in_thread(Draft().do, verb, provenance)
            if not events:  # it was done before
                return result
            doing = Verb(lambda unit, event=events[0]: again(unit, event), verb.needs)  # type: ignore[misc]
            try:
                return await submit(doing, provenance=provenance, fence=self.fence)
            except VersionConflict:
                if number == MOST_TRIES:
                    raise
                await _step_aside(number)
        raise AssertionError("unreachable")

    async def _hold_back(
        self,
        scope: Scope,
        operation: Callable[[Unit], T],
        provenance: Provenance,
        target: Target | None = None,
    ) -> T:
        """Work it out and note it for the commit: both or neither, also for who is cancelled meanwhile."""
        blocks = self._blocks.get()

        def work() -> T:
            if scope.draft is None:
                scope.draft = Draft()
            result, events = scope.draft.do(operation, provenance)
            scope.staged.append(Staged(operation, target, events if target is not None else (), blocks))
            return result

        return await _in_turn(scope, work)

    async def read(self, look: Callable[[Any], T]) -> T:
        """Read what is committed, and what an open `atomic` has staged."""
        scope = self.scope
        if scope.draft is None:
            return await in_thread(look, committed)
        return await _in_turn(scope, lambda: look(scope.draft))

    async def read_row(self, find: Callable[[Any], int], type: str, key: str) -> Row | None:
        """One row of the stream that `find` finds. In `atomic`, the commit checks that it is still so."""
        scope = self.scope

        def look(reader: Any) -> Row | None:
            stream = find(reader)
            found: Row | None = reader.row(stream, type, key)
            if scope.atomic and not (isinstance(reader, Draft) and reader.is_changed(stream, type, key)):
                scope.seen[stream, type, key] = found.version if found is not None else 0
            return found

        return await self.read(look)

    async def commit(self, scope: Scope, *last: Operation) -> None:
        """Do what an atomic scope staged, and `last`, in one unit, if what was read is still so.

        Raises `VersionConflict` for a row that was read and has changed since, and what the changes raise.
        """
        if not scope.staged and not last:
            return
        provenance = Provenance(self.writer, self.claimed.key, scope.run, scope.tool_call)
        for number in range(1, MOST_TRIES + 1):
            checks = [_checking(scope.seen)] if scope.staged and scope.seen else []
            work = together([*checks, *_steps(scope.staged), *last])
            try:
                changes = len(scope.staged) + 1
                await submit(work, provenance=provenance, fence=self.fence, changes=changes)
            except VersionConflict:
                if number == MOST_TRIES:
                    raise
                await _step_aside(number)
                await in_thread(_redo, scope, provenance)
            else:
                return

    async def append(self, events: Sequence[Any], run: str = "", *, background: bool = False) -> list[Any]:
        """Append to the entity's own log: the hot path of the agent loop. Others go before `background`."""
        self.opened_run = self.opened_run or any(event.type == "run" for event in events)
        origin = Provenance(self.writer, self.claimed.key, run)
        return await append(self.stream, events, provenance=origin, fence=self.fence, background=background)

    async def conclude(self, events: Sequence[NewEvent], run: str) -> list[Event]:
        """Append what says that a run ended well. Raises `RunAborted` if it was asked to stop before."""

        def do(unit: Unit) -> list[Event]:
            require_uninterrupted(unit, self.claimed)
            return unit.append(self.stream, events)

        # Whom it wakes depends on what woke it: see `receivers`.
        rows = ((self.stream, "wake", self.claimed.key), *((self.stream, e.type, e.key) for e in events))
        needs = Needs((self.stream,), rows=rows, lookups=((WAKES, self.claimed.wake.pk),))
        origin = Provenance(self.writer, self.claimed.key, run)
        return await submit(Verb(do, needs), provenance=origin, fence=self.fence)


async def _in_turn(scope: Scope, work: Callable[[], T]) -> T:
    """Do something with a scope's draft in a thread. Who is cancelled waits until it is done."""
    async with scope.turn:
        doing = asyncio.ensure_future(in_thread(work))
        try:
            return await asyncio.shield(doing)
        finally:
            if not doing.done():
                await asyncio.wait([doing])


async def _step_aside(number: int) -> None:
    """Wait a moment after the n-th conflict: many who change one row would overtake each other for ever."""
    longest = min(FIRST_PAUSE * 2**number, LONGEST_PAUSE)
    await asyncio.sleep(random.uniform(0, longest))  # noqa: S311  no secret


def _steps(staged: Iterable[Staged]) -> list[Operation]:
    """What the commit does: changes of rows of one stream that follow each other are one append."""
    steps: list[Operation] = []
    target: Target | None = None
    events: list[NewEvent] = []
    for each in [*staged, None]:
        if each is not None and each.target is not None and each.target is target:
            events += each.events
            continue
        if target is not None and events:
            steps.append(_appending(target, events))
        target, events = (None, []) if each is None else (each.target, list(each.events))
        if each is not None and each.target is None:
            steps.append(each.operation)
    return steps


def _appending(target: Target, events: Sequence[NewEvent]) -> Verb[Any]:
    needs = target.needs
    if needs.streams:
        (stream,) = needs.streams
        needs += Needs(
            rows=tuple((stream, event.type, event.key) for event in events),
            keys=tuple((stream, event.client_key) for event in events if event.client_key),
        )
    return Verb(lambda unit: unit.append(target.within(unit), events), needs)


def _checking(seen: dict[Place, int]) -> Verb[None]:
    def run(unit: Unit) -> None:
        for place, version in seen.items():
            _check(unit.row(*place), place, version)

    streams = {stream for stream, _, _ in seen}
    return Verb(run, Needs(tuple(streams), rows=tuple(seen)))


def _check(found: Row | None, place: Place, version: int) -> None:
    if (found.version if found is not None else 0) != version:
        current = found.value if found is not None else None
        raise VersionConflict(
            f"The {place[1]} with key {place[2]!r} was read and has changed since; read it again.",
            current=current, version=found.version if found is not None else 0,
        )  # fmt: skip


def _redo(scope: Scope, provenance: Provenance) -> None:
    """Work out anew what was staged, since a row of it changed meanwhile.

    Functions that change a row are called again, with the row as it is now; nobody else has seen what they
    said before. What the handler has read and acted upon cannot be taken back: raises `VersionConflict`.
    """
    for place, version in scope.seen.items():
        _check(committed.row(*place), place, version)
    _draft_anew(scope, provenance)


def _undo(scope: Scope, block: object, provenance: Provenance) -> None:
    """Forget what was staged in a block."""
    left = [each for each in scope.staged if block not in each.blocks]
    if len(left) < len(scope.staged):
        scope.staged = left
        _draft_anew(scope, provenance)


def _draft_anew(scope: Scope, provenance: Provenance) -> None:
    scope.draft = Draft()
    for each in scope.staged:
        _, events = scope.draft.do(each.operation, provenance)
        if each.target is not None:
            each.events = events
