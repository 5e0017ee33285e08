"""One handler's door to the log: every change carries the lease's epoch and where it comes from.

A change is a function of a unit. Outside `atomic` it is committed when it is awaited. Inside, the changes so
far are *rehearsed* together and undone, so the handler sees real results and real errors at each line, and
nothing is visible to others until all of them are committed in one unit at the end. Tools run like that:
their changes and their result become visible together.

A handler that is run again after a crash repeats itself: each change has a key made of the entity, the wake
(or the tool call), what it does and to what, so the second time it finds the first and changes nothing.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from entities.models import Entity
from entities.wakes.lease import Claimed
from shared_state.api import Fence, Provenance, Row, Unit, append, committed, in_thread, submit, together

MAX_NAME = 160
"""The longest description in a change's key; a longer one is cut, and told apart by its hash."""

T = TypeVar("T")
Operation = Callable[[Unit], Any]


class Reader(Protocol):
    """Where rows are read: a unit, or what is committed."""

    def row(self, stream: int, type: str, key: str) -> Row | None:
        """One row."""
        ...

    def rows(self, stream: int, type: str) -> list[Row]:
        """All rows of a type."""
        ...


class Scope:
    """Within which changes are named and, if it is atomic, held back."""

    def __init__(self, key: str, run: str = "", tool_call: str = "", *, atomic: bool = False) -> None:
        self.key = key
        self.run = run
        self.tool_call = tool_call
        self.atomic = atomic
        self.staged: list[Operation] = []
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
        self._wake_scope = Scope(claimed.key)
        self._scope: ContextVar[Scope] = ContextVar(f"scope-{claimed.wake.pk}", default=self._wake_scope)

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

    async def change(self, operation: Callable[[Unit], T]) -> T:
        """Do a change, or rehearse it after those before it. Raises what it raises, and `StaleEpoch`."""
        scope, provenance = self.scope, self.provenance()
        if not scope.atomic:
            return await submit(operation, provenance=provenance, fence=self.fence)
        result = await self._rehearse([*scope.staged, operation], provenance)
        scope.staged.append(operation)
        return result  # type: ignore[no-any-return]

    async def read(self, look: Callable[[Any], T]) -> T:
        """Read what is committed, and what an open `atomic` has changed."""
        scope = self.scope
        if scope.staged:
            return await self._rehearse([*scope.staged, look], self.provenance())  # type: ignore[no-any-return]
        return await in_thread(look, committed)

    async def commit(self, scope: Scope, *last: Operation) -> None:
        """Do what an atomic scope staged, and `last`, in one unit."""
        operations = [*scope.staged, *last]
        if operations:
            provenance = Provenance(self.writer, self.claimed.key, scope.run, scope.tool_call)
            await submit(together(operations), provenance=provenance, fence=self.fence)

    async def append(self, events: Sequence[Any], run: str = "", *, background: bool = False) -> list[Any]:
        """Append to the entity's own log: the hot path of the agent loop. Others go before `background`."""
        origin = Provenance(self.writer, self.claimed.key, run)
        return await append(self.stream, events, provenance=origin, fence=self.fence, background=background)

    async def _rehearse(self, operations: Sequence[Operation], provenance: Provenance) -> Any:
        results = await submit(together(operations), provenance=provenance, fence=self.fence, rehearse=True)
        return results[-1]
