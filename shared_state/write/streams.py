"""The streams of one transaction: which are locked, how they stand, which are made and changed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

from shared_state.core.types import Json, StreamInfo
from shared_state.exceptions import StreamNotFound
from shared_state.write.sql import Dialect
from shared_state.write.statements import Values

ABSENT: Any = object()
"""In a journal: what was not there before."""
Journal = list[tuple[dict[Any, Any], Any, Any]]
"""A dictionary, a key, and what was there, for each change."""


class LateLock(Exception):
    """A unit came to a stream that it had not named, and somebody else may hold it.

    Waiting now, with other streams held, could be for ever. The unit is undone and run again in the next
    transaction, where `stream` is locked beforehand, in order.
    """

    def __init__(self, stream: int) -> None:
        super().__init__(f"Stream {stream} was not named before the unit began.")
        self.stream = stream


class LockedStream(NamedTuple):
    """A locked stream; its head is kept apart, since it moves."""

    id: int
    path: str
    kind: str
    owner: str
    root: int | None
    epoch: int
    closed: bool
    observed: bool
    schema: Any


class Streams:
    """Not for use by two threads. Each change is entered in the journal that is given."""

    def __init__(
        self,
        dialect: Dialect,
        journal: Journal,
        settle: Callable[[], None],
        *,
        waits: bool,
        locks: bool = True,
        lock_timeout: float | None = None,
    ) -> None:
        self.heads: dict[int, int] = {}
        """The offset of the last event of each locked stream."""
        self.made: set[int] = set()
        """Those that were made here: nothing of them is stored that is not known."""
        self.whole = False
        """Whether the unit that is run now is to be undone in memory."""
        self._sql = dialect
        self._journal = journal
        self._settle = settle
        self._waits = waits
        self._lock_timeout = lock_timeout
        self._locks = locks
        self._held: dict[int, LockedStream] = {}
        self._paths: dict[str, int | None] = {}
        self._new: dict[int, None] = {}
        self._altered: dict[int, None] = {}

    def __iter__(self) -> Any:
        return iter(self._held)

    def lock(self, streams: Iterable[int]) -> None:
        """Lock streams in order of id, and wait for them. Only where no stream with a higher id is held.

        That is at the beginning, and for streams that everybody locks last: see `Unit.later`.
        """
        if missing := sorted({stream for stream in streams if stream not in self._held}):
            for values in self._read(missing):
                self._learn(values)

    def _read(self, missing: Sequence[int]) -> list[Values]:
        if not self._locks:
            return self._sql.look(missing)
        return (
            self._sql.streams(missing)
            if self._lock_timeout is None
            else self._sql.hurry(missing, self._lock_timeout)
        )

    @contextmanager
    def waiting_long(self) -> Iterator[None]:
        """Within, locks are waited for as long as it takes: statements of users' own may well do that."""
        lock_timeout, self._lock_timeout = self._lock_timeout, None
        if lock_timeout is not None:
            self._sql.wait_for_locks(None)
        yield
        if lock_timeout is not None:  # not if something was raised: the transaction may be gone
            self._sql.wait_for_locks(lock_timeout)
            self._lock_timeout = lock_timeout

    def hold(self, streams: Iterable[int]) -> set[int]:
        """Lock those of these streams that nobody else holds. Returns which of them are held now.

        What is in memory is written then: to be called before a unit changes anything.
        """
        wanted = list(streams)
        if missing := sorted({stream for stream in wanted if stream not in self._held}):
            for values in self._sql.streams(missing, wait=False):
                self._learn(values)
            self._settle()
        return {stream for stream in wanted if stream in self._held}

    def get(self, stream: int) -> LockedStream:
        """A stream, locked from now on. Raises `StreamNotFound`, and `LateLock` if one would have to wait."""
        found = self._held.get(stream)
        if found is None:
            self._lock_late(stream)
            found = self._held.get(stream)
            if found is None:
                raise StreamNotFound(f"There is no stream {stream}.")
        return found

    def _lock_late(self, stream: int) -> None:
        if self._waits:
            return self.lock([stream])
        if (self.whole or not self.hold([stream])) and self._sql.there(stream):
            raise LateLock(stream)
        return None

    def info(self, stream: int) -> StreamInfo:
        """The stream as this transaction sees it. Raises as `get`."""
        s = self.get(stream)
        return StreamInfo(
            s.id, s.path, s.kind, s.owner, s.root, self.heads[stream], s.epoch, s.closed, s.observed,
            _loads(s.schema),
        )  # fmt: skip

    def observed(self) -> list[int]:
        """Those of the locked ones that somebody observes."""
        return [stream for stream, found in self._held.items() if found.observed]

    def ask(self, paths: Iterable[str]) -> None:
        """Read at once which paths are taken."""
        if unknown := {path: None for path in paths if path not in self._paths}:
            for path in unknown:
                self._set(self._paths, path, None)
            self._paths.update(self._sql.paths(list(unknown), self._lock_timeout))

    def at(self, path: str) -> int | None:
        """The id of the stream at a path, also of one that this transaction makes. It is not locked."""
        if path not in self._paths:
            self.ask([path])
        return self._paths[path]

    def make(self, info: StreamInfo) -> None:
        """Insert a stream, under an id that nobody else gets and a path that nobody has."""
        self._set(self._paths, info.path, info.id)
        self._set(self._new, info.id, None)
        self.made.add(info.id)
        self._adopt(info)

    def alter(self, info: StreamInfo) -> None:
        """Change a stream's epoch, schema and whether it is closed or observed."""
        if info.id not in self._new:
            self._set(self._altered, info.id, None)
        self._adopt(info)

    def raise_epoch(self, stream: int) -> int:
        """End the right of whoever holds an epoch of a stream. Returns the new one. Raises as `get`."""
        found = self.get(stream)
        if stream not in self._new:
            self._set(self._altered, stream, None)
        self._set(self._held, stream, found._replace(epoch=found.epoch + 1))
        return found.epoch + 1

    def flush(self, stamp: Any) -> None:
        """Write what was made, with the time of the transaction, and changed."""
        if self._new:
            self._sql.make([(*self._values(ident), stamp) for ident in self._new])
            self._new.clear()
        if self._altered:
            self._sql.change([self._changed(ident) for ident in sorted(self._altered)])
            self._altered.clear()

    def _values(self, ident: int) -> Values:
        s = self._held[ident]
        return (ident, s.path, s.kind, s.owner, s.root, 0, s.epoch, s.closed, s.observed, _dumped(s.schema))

    def _changed(self, ident: int) -> Values:
        s = self._held[ident]
        return (ident, s.epoch, s.closed, s.observed, _dumped(s.schema))

    def _learn(self, values: Values) -> None:
        ident, path, kind, owner, root, head, epoch, closed, observed, schema = values
        self._held[ident] = LockedStream(
            ident, path, kind, owner, root, epoch, bool(closed), bool(observed), schema
        )
        self.heads[ident] = head
        self._journal += [(self._held, ident, ABSENT), (self.heads, ident, ABSENT)]

    def _adopt(self, info: StreamInfo) -> None:
        found = LockedStream(
            info.id, info.path, info.kind, info.owner, info.root,
            info.epoch, info.closed, info.observed, info.schema,
        )  # fmt: skip
        self._set(self._held, info.id, found)
        self._set(self.heads, info.id, info.head)

    def _set(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self._journal.append((table, key, table.get(key, ABSENT)))
        table[key] = value


def _loads(value: Any) -> Json:
    """JSON is text in both databases; a stream that is made here brings its schema along."""
    return orjson.loads(value) if isinstance(value, str) else value  # type: ignore[no-any-return]


def _dumped(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
