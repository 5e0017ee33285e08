"""What one transaction of the writer knows and will write: a cache, a buffer, and a way back.

Appends are worked out in memory and written in bulk, so a batch of a hundred events costs a handful of
statements. Rows are kept as the tuples that the database takes, and become objects only for those who ask.
A unit that fails is undone here exactly as its savepoint undoes it in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from shared_state.conf import conf
from shared_state.core.types import Event, Json, NewEvent, Provenance, Row, StreamInfo
from shared_state.exceptions import StreamClosed, StreamNotFound
from shared_state.write.fitting import CREATED, CREATED_AT, VALUE, resolve, text_of
from shared_state.write.sql import ClientKey, Dialect, RowKey, Values, as_event, as_row

_ABSENT: Any = object()


class Mark(NamedTuple):
    """A point of a transaction to come back to."""

    events: int
    unwritten: int
    learned: int


class _Stream(NamedTuple):
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


class _Change(NamedTuple):
    """What an event did to the cache, so that it can be taken back."""

    place: RowKey | None
    before: Values | None
    was_dirty: bool
    client_key: str


class WriteSet:
    """The state of one transaction. Not for use by two threads."""

    def __init__(self, dialect: Dialect, now: datetime) -> None:
        self.now = now
        """The time of everything in this transaction."""
        self.appended: list[Event] = []
        """The events of this transaction in order, also those that are written by now."""
        self._sql = dialect
        self._stamp = dialect.time(now)
        self._max_bytes = conf.max_event_bytes
        self._streams: dict[int, _Stream] = {}
        self._heads: dict[int, int] = {}
        self._rows: dict[RowKey, Values | None] = {}
        self._repeats: dict[ClientKey, Event | None] = {}
        self._unwritten: list[Values] = []
        self._dirty: dict[RowKey, None] = {}
        self._changes: list[_Change] = []
        self._learned: list[tuple[dict[Any, Any], Any, Any]] = []

    # -- knowing

    def prefetch(
        self, streams: Iterable[int], rows: Iterable[RowKey] = (), keys: Iterable[ClientKey] = ()
    ) -> None:
        """Read what a batch will need at once; streams in order, so that two processes lock in one order."""
        if missing := sorted({stream for stream in streams if stream not in self._streams}):
            for values in self._sql.streams(missing):
                self._learn(values)
        if wanted := {key: None for key in rows if key not in self._rows}:
            self._rows.update(wanted)
            self._learned += [(self._rows, key, _ABSENT) for key in wanted]
            for values in self._sql.rows(list(wanted)):
                self._rows[values[:3]] = values
        if asked := {key: None for key in keys if key not in self._repeats}:
            self._repeats.update(asked)
            self._learned += [(self._repeats, key, _ABSENT) for key in asked]
            for values in self._sql.repeated(list(asked)):
                self._repeats[values[0], values[12]] = as_event(values)

    def _learn(self, values: Values) -> None:
        ident, path, kind, owner, root, head, epoch, closed, observed, schema = values
        self._streams[ident] = _Stream(
            ident, path, kind, owner, root, epoch, bool(closed), bool(observed), schema
        )
        self._heads[ident] = head
        self._learned += [(self._streams, ident, _ABSENT), (self._heads, ident, _ABSENT)]

    def _stream(self, stream: int) -> _Stream:
        """A stream, locked from now on. Raises `StreamNotFound`."""
        found = self._streams.get(stream)
        if found is None:
            self.prefetch([stream])
            found = self._streams.get(stream)
            if found is None:
                raise StreamNotFound(f"There is no stream {stream}.")
        return found

    def _current(self, place: RowKey) -> Values | None:
        found = self._rows.get(place, _ABSENT)
        if found is _ABSENT:
            # Locked first: what another process is changing must not be read as it was.
            self._stream(place[0])
            self.prefetch((), [place])
            found = self._rows[place]
        return found  # type: ignore[no-any-return]

    def repeated(self, stream: int, client_key: str) -> Event | None:
        """The event that was appended with a client key, if there is one. Raises `StreamNotFound`."""
        self._stream(stream)
        asked = (stream, client_key)
        if asked not in self._repeats:
            self.prefetch((), (), [asked])
        found = self._repeats[asked]
        return None if found is None else replace(found, repeated=True)

    def info(self, stream: int) -> StreamInfo:
        """The stream as this transaction sees it. Raises `StreamNotFound`."""
        s = self._stream(stream)
        return StreamInfo(
            s.id,
            s.path,
            s.kind,
            s.owner,
            s.root,
            self._heads[stream],
            s.epoch,
            s.closed,
            s.observed,
            _loads(s.schema),
        )

    def epoch(self, stream: int) -> int:
        """What a fence must say. Raises `StreamNotFound`."""
        return self._stream(stream).epoch

    def observed(self, stream: int) -> bool:
        """Whether somebody subscribed to the stream. Raises `StreamNotFound`."""
        return self._stream(stream).observed

    def row(self, stream: int, type: str, key: str) -> Row | None:
        """One row, with what this transaction did to it. Raises `StreamNotFound`."""
        found = self._current((stream, type, key))
        return None if found is None else as_row(found)

    @property
    def streams(self) -> list[int]:
        """The streams that this transaction holds."""
        return list(self._streams)

    @property
    def moved(self) -> dict[int, int]:
        """The streams that this transaction appended to, with their heads."""
        return {event.stream: event.offset for event in self.appended}

    # -- changing

    def adopt(self, info: StreamInfo) -> None:
        """Learn of a stream that this transaction made or changed through the ORM."""
        for table in (self._streams, self._heads):
            self._learned.append((table, info.id, table.get(info.id, _ABSENT)))
        self._streams[info.id] = _Stream(
            info.id,
            info.path,
            info.kind,
            info.owner,
            info.root,
            info.epoch,
            info.closed,
            info.observed,
            info.schema,
        )
        self._heads[info.id] = info.head

    def mark(self) -> Mark:
        """A point to come back to."""
        return Mark(len(self.appended), len(self._unwritten), len(self._learned))

    def undo(self, mark: Mark) -> None:
        """Forget everything since `mark`, in reverse order."""
        while len(self.appended) > mark.events:
            event, change = self.appended.pop(), self._changes.pop()
            self._heads[event.stream] = event.offset - 1
            if change.client_key:
                self._repeats[event.stream, change.client_key] = None
            if change.place is not None:
                self._rows[change.place] = change.before
                if not change.was_dirty:
                    self._dirty.pop(change.place, None)
        del self._unwritten[mark.unwritten :]
        while len(self._learned) > mark.learned:
            table, key, old = self._learned.pop()
            if old is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = old

    def append(self, stream: int, new: Sequence[NewEvent], provenance: Provenance) -> list[Event]:
        """Work out events and rows: all of them, or none. Raises `StreamNotFound` and as `_append`."""
        found = self._stream(stream)
        if len(new) == 1:
            return [self._append(found, new[0], provenance)]
        mark, done = self.mark(), False
        try:
            events = [self._append(found, event, provenance) for event in new]
            done = True
        finally:
            if not done:
                self.undo(mark)
        return events

    def _append(self, stream: _Stream, new: NewEvent, provenance: Provenance) -> Event:
        """One event, refused before anything is changed. Raises `StreamClosed`, `TooLarge`, `RowError`."""
        ident = stream.id
        if new.client_key and (repeat := self.repeated(ident, new.client_key)) is not None:
            return repeat
        if stream.closed:
            raise StreamClosed(f"{stream.path} is closed and takes no more events.")
        place = (ident, new.type, new.key)
        current = self._current(place) if new.fold else None
        operation = resolve(new, current)
        text = current[VALUE] if operation == "delete" and current else text_of(new, self._max_bytes)
        old = current[VALUE] if new.keep_old and operation == "update" and current else None
        offset, now, stamp = self._heads[ident] + 1, self.now, self._stamp
        event = Event(
            ident, offset, new.type, new.key, operation, orjson.loads(text), now, provenance,
            None if old is None else orjson.loads(old),
        )  # fmt: skip
        who = (provenance.writer, provenance.wake, provenance.run, provenance.tool_call)
        self._unwritten.append(
            (ident, offset, new.type, new.key, operation, text, old, stamp, *who, new.client_key or None)
        )
        self._heads[ident] = offset
        self.appended.append(event)
        if new.client_key:
            self._repeats[ident, new.client_key] = event
        if not new.fold:
            self._changes.append(_Change(None, None, False, new.client_key))
            return event
        self._changes.append(_Change(place, current, place in self._dirty, new.client_key))
        self._dirty[place] = None
        if operation == "delete":
            self._rows[place] = None
        else:
            since = (
                (offset, offset, stamp)
                if current is None
                else (current[CREATED], offset, current[CREATED_AT])
            )
            self._rows[place] = (*place, text, *since, stamp, *who)
        return event

    # -- writing

    def flush(self) -> None:
        """Write what is worked out so far. Called before anything reads or guards the tables themselves."""
        if not self._unwritten:
            return
        rows, gone = [], []
        for place in self._dirty:
            row = self._rows[place]
            if row is None:
                gone.append(place)
            else:
                rows.append(row)
        heads = {event[0]: event[1] for event in self._unwritten}
        self._sql.write(self._unwritten, rows, gone, list(heads.items()))
        self._unwritten.clear()
        self._dirty.clear()


def _loads(value: Any) -> Json:
    """JSON is text in both databases; a stream that was adopted brings its schema along."""
    return orjson.loads(value) if isinstance(value, str) else value  # type: ignore[no-any-return]
