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
from shared_state.core.types import Event, NewEvent, Provenance, Row
from shared_state.exceptions import StreamClosed
from shared_state.write.fitting import CREATED, CREATED_AT, VALUE, resolve, text_of
from shared_state.write.sql import ClientKey, Dialect, RowKey, RowRange, as_event, as_row
from shared_state.write.statements import Values, stamp
from shared_state.write.streams import ABSENT, Journal, LockedStream, Streams
from shared_state.write.tables import Tables


class Mark(NamedTuple):
    """A point of a transaction to come back to."""

    events: int
    unwritten: int
    learned: int
    tables: int


class _Change(NamedTuple):
    """What an event did to the cache, so that it can be taken back."""

    place: RowKey | None
    before: Values | None
    was_dirty: bool
    client_key: str


class WriteSet:
    """The state of one transaction. Not for use by two threads."""

    def __init__(
        self, dialect: Dialect, now: datetime, *,
        waits: bool = False, locks: bool = True, lock_timeout: float | None = None,
    ) -> None:  # fmt: skip
        self.now = now
        """The time of everything in this transaction."""
        self.tables = Tables()
        """The tables beside events and rows."""
        self.appended: list[Event] = []
        """The events of this transaction in order, also those that are written by now."""
        self._sql = dialect
        self._stamp = stamp(now)
        self._max_bytes = conf.max_event_bytes
        self._rows: dict[RowKey, Values | None] = {}
        self._ranges: dict[RowRange, list[RowKey]] = {}
        self._repeats: dict[ClientKey, Event | None] = {}
        self._unwritten: list[Values] = []
        self._dirty: dict[RowKey, None] = {}
        self._changes: list[_Change] = []
        self._learned: Journal = []
        self.streams = Streams(
            dialect, self._learned, self._settle, waits=waits, locks=locks, lock_timeout=lock_timeout
        )
        """The streams that it holds."""

    def _settle(self) -> None:
        """After locks were taken late: what was read of records before may have changed since."""
        self.flush()
        self.tables.forget()

    # -- knowing

    def ask(
        self,
        rows: Iterable[RowKey] = (),
        keys: Iterable[ClientKey] = (),
        ranges: Iterable[RowRange] = (),
    ) -> None:
        """Read at once what will be needed of streams that are locked."""
        if wanted := {key: None for key in rows if key not in self._rows}:
            self._rows.update(wanted)
            self._learned += [(self._rows, key, ABSENT) for key in wanted]
            for values in self._sql.rows(list(wanted)):
                self._rows[values[:3]] = values
        if asked := {key: None for key in keys if key not in self._repeats}:
            self._repeats.update(asked)
            self._learned += [(self._repeats, key, ABSENT) for key in asked]
            for values in self._sql.repeated(list(asked)):
                self._repeats[values[0], values[12]] = as_event(values)
        if new := [place for place in ranges if place not in self._ranges]:
            self._ask_ranges(new)

    def know_new(self, stream: int, events: Iterable[NewEvent]) -> None:
        """Look for neither the rows nor repeats of events whose keys were made up for them."""
        rows: dict[Any, Any] = {(stream, event.type, event.key): None for event in events}
        repeats: dict[Any, Any] = {(stream, event.client_key): None for event in events}
        for table, new in ((self._rows, rows), (self._repeats, repeats)):
            missing = new.keys() - table.keys()
            table.update(dict.fromkeys(missing))
            self._learned += [(table, key, ABSENT) for key in missing]

    def _ask_ranges(self, ranges: Sequence[RowRange]) -> None:
        self._ranges.update((place, []) for place in ranges)
        self._learned += [(self._ranges, place, ABSENT) for place in ranges]
        by_type: dict[tuple[int, str], list[RowRange]] = {}
        for place in ranges:
            by_type.setdefault(place[:2], []).append(place)
        for values in self._sql.between(ranges):
            key = values[:3]
            if key not in self._rows:
                self._rows[key] = values
                self._learned.append((self._rows, key, ABSENT))
            for place in by_type[key[:2]]:
                if place[2] <= values[CREATED] < place[3] and key not in self._ranges[place]:
                    self._ranges[place].append(key)

    def _current(self, place: RowKey) -> Values | None:
        found = self._rows.get(place, ABSENT)
        if found is ABSENT:
            if place[0] in self.streams.made:
                return None
            # Locked first: what another process is changing must not be read as it was.
            self.streams.get(place[0])
            self.ask([place])
            found = self._rows[place]
        return found  # type: ignore[no-any-return]

    def repeated(self, stream: int, client_key: str) -> Event | None:
        """The event that was appended with a client key, if there is one. Raises `StreamNotFound`."""
        self.streams.get(stream)
        asked = (stream, client_key)
        if stream in self.streams.made:
            return self._seen(self._repeats.get(asked))
        if asked not in self._repeats:
            self.ask((), [asked])
        return self._seen(self._repeats[asked])

    @staticmethod
    def _seen(found: Event | None) -> Event | None:
        return None if found is None else replace(found, repeated=True)

    def row(self, stream: int, type: str, key: str) -> Row | None:
        """One row, with what this transaction did to it. Raises `StreamNotFound`."""
        found = self._current((stream, type, key))
        return None if found is None else as_row(found)

    def rows_between(self, place: RowRange) -> list[Row]:
        """Rows by stream, type and when they came to be, oldest first. Raises `StreamNotFound`.

        Without those that this transaction makes: they came to be later than anything that can be asked for.
        """
        self.streams.get(place[0])
        self.ask(ranges=[place])
        found = (self._rows[key] for key in self._ranges[place])
        return [as_row(values) for values in sorted((v for v in found if v), key=lambda v: v[CREATED])]

    @property
    def moved(self) -> dict[int, int]:
        """The streams that this transaction appended to, with their heads."""
        return {event.stream: event.offset for event in self.appended}

    # -- changing

    def mark(self) -> Mark:
        """A point to come back to."""
        return Mark(len(self.appended), len(self._unwritten), len(self._learned), self.tables.mark())

    def undo(self, mark: Mark) -> None:
        """Forget everything since `mark`, in reverse order."""
        self.tables.undo(mark.tables)
        while len(self.appended) > mark.events:
            event, change = self.appended.pop(), self._changes.pop()
            self.streams.heads[event.stream] = event.offset - 1
            if change.client_key:
                self._repeats[event.stream, change.client_key] = None
            if change.place is not None:
                self._rows[change.place] = change.before
                if not change.was_dirty:
                    self._dirty.pop(change.place, None)
        del self._unwritten[mark.unwritten :]
        while len(self._learned) > mark.learned:
            table, key, old = self._learned.pop()
            if old is ABSENT:
                table.pop(key, None)
            else:
                table[key] = old

    def append(self, stream: int, new: Sequence[NewEvent], provenance: Provenance) -> list[Event]:
        """Work out events and rows: all of them, or none. Raises `StreamNotFound` and as `_append`."""
        found = self.streams.get(stream)
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

    def _append(self, stream: LockedStream, new: NewEvent, provenance: Provenance) -> Event:
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
        offset, now, stamp = self.streams.heads[ident] + 1, self.now, self._stamp
        event = Event(
            ident, offset, new.type, new.key, operation, orjson.loads(text), now, provenance,
            None if old is None else orjson.loads(old),
        )  # fmt: skip
        who = (provenance.writer, provenance.wake, provenance.run, provenance.tool_call)
        self._unwritten.append(
            (ident, offset, new.type, new.key, operation, text, old, stamp, *who, new.client_key or None)
        )
        self.streams.heads[ident] = offset
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
        """Write what is worked out so far. Called before anything reads or guards the tables themselves.

        Raises `IntegrityError` if another process made the same stream or record meanwhile.
        """
        self.streams.flush(self._stamp)
        if self._unwritten:
            self._flush_events()
        self.tables.flush()

    def _flush_events(self) -> None:
        rows, gone = [], []
        for place in self._dirty:
            row = self._rows[place]
            if row is None:
                gone.append(place)
            else:
                rows.append(row)
        heads = {event[0]: event[1] for event in self._unwritten}
        self._sql.write(self._unwritten, rows, gone, sorted(heads.items()))
        self._unwritten.clear()
        self._dirty.clear()
