"""What units would do, worked out over what is committed, and written nowhere.

A draft is a write set that reads without locks and never flushes: results and errors are those that a unit
would have now, at the price of a look at what it needs. Whoever commits what was drafted checks under locks
what it was worked out from. It is used in any thread that may use the database, by one at a time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from shared_state.core import clock
from shared_state.core.types import Event, NewEvent, Provenance, Row
from shared_state.exceptions import RowExists, RowNotFound
from shared_state.log import stream as committed
from shared_state.models import RowRecord
from shared_state.write.sql import RowKey, as_row, dialect
from shared_state.write.statements import Values
from shared_state.write.streams import ABSENT
from shared_state.write.tables import Tables
from shared_state.write.unit import Unit
from shared_state.write.write_set import Mark, WriteSet

T = TypeVar("T")
VERSION = 5
"""The place of a row's version among its columns."""
FEW_LOOKS = 16
"""After how many looks at rows of a type all its keys are read at once."""
MOST_KEYS = 10_000
"""How many those may be."""
AT_ONCE = 10_000
"""How many keys one query is given; databases have a limit."""


class _DraftTables(Tables):
    """What is added gets a number below zero: nobody else's, and never to be written."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(-1, -1)

    def new_id(self, model: Any) -> int:
        return next(self._numbers)

    def flush(self) -> None:
        """Nothing is written."""

    def forget_clean(self) -> None:
        """Forget what was read and not changed here, and who was found where: both are asked for again."""
        self._answers.clear()
        for model, held in self._held.items():
            kept = {**self._new.get(model, {}), **self._changed.get(model, {}), **self._gone.get(model, {})}
            for key in held.keys() - kept.keys():
                del held[key]


class _DraftWriteSet(WriteSet):
    """`_dirty` holds, for the whole life of the draft, which rows are as it left them."""

    def __init__(self) -> None:
        super().__init__(dialect(), clock.now(), waits=True, locks=False)
        self.tables: _DraftTables = _DraftTables()
        self.streams.whole = True
        self.is_new = False
        """Whether nothing of this was done before: it is committed at once, so one key tells of all."""

        self._looks: Counter[tuple[int, str]] = Counter()
        self._keys: dict[tuple[int, str], frozenset[str] | None] = {}
        """All keys of a type that was looked at often; `None` if they are too many."""

    def _current(self, place: RowKey) -> Values | None:
        if place not in self._rows and place[0] > 0 and self._is_absent(place):
            self._rows[place] = None
            self._learned.append((self._rows, place, ABSENT))
        return super()._current(place)

    def _is_absent(self, place: RowKey) -> bool:
        """Whether it is known without asking that there is no such row: so a thousand inserts ask little."""
        of = place[:2]
        self._looks[of] += 1
        if of not in self._keys:
            if self._looks[of] <= FEW_LOOKS:
                return False
            found = RowRecord.objects.filter(stream=place[0], type=place[1]).values_list("key", flat=True)
            keys = frozenset(found[: MOST_KEYS + 1])
            self._keys[of] = keys if len(keys) <= MOST_KEYS else None
        known = self._keys[of]
        return known is not None and place[2] not in known

    def repeated(self, stream: int, client_key: str) -> Event | None:
        if self.is_new and (stream, client_key) not in self._repeats:
            return None
        found = super().repeated(stream, client_key)
        self.is_new = self.is_new or found is None
        return found

    def flush(self) -> None:
        """Nothing is written."""

    def forget_clean(self, since: Mark) -> None:
        """Forget what was read since then and not changed: by the next look, others may have changed it."""
        for table, key, _ in self._learned[since.learned :]:
            if table is self._rows and key not in self._dirty:
                table.pop(key, None)
        self.tables.forget_clean()

    def doubt(self) -> bool:
        """Take nothing for granted any more. Whether anything was."""
        assumed = self.is_new or bool(self._keys)
        self.is_new = False
        self._looks.clear()
        self._keys.clear()
        return assumed

    def is_changed(self, place: RowKey) -> bool:
        return place in self._dirty

    def changed(self, stream: int, type: str) -> dict[str, Row | None]:
        """Rows of a type that the draft changed, by key; `None` for those it deleted."""
        found = {place[2]: self._rows[place] for place in self._dirty if place[:2] == (stream, type)}
        return {key: None if values is None else as_row(values) for key, values in found.items()}

    def base_of_last(self) -> int | None:
        """The committed version that the last event was worked out from; `None` if the draft's own."""
        change = self._changes[-1]
        return None if change.was_dirty or change.before is None else int(change.before[VERSION])


class _DraftUnit(Unit):
    """Notes the events that are asked for one by one, with the version that each was worked out from."""

    def __init__(self, write_set: _DraftWriteSet, provenance: Provenance) -> None:
        super().__init__(write_set, provenance)
        self._draft = write_set
        self.asked: list[NewEvent] = []

    def append(
        self, stream: int, events: Sequence[NewEvent], *,
        provenance: Provenance | None = None, fresh: bool = False,
    ) -> list[Event]:  # fmt: skip
        done = super().append(stream, events, provenance=provenance, fresh=fresh)
        if len(events) == 1 and not done[0].repeated:
            (new,) = events
            depends = new.operation == "update" or new.expect_version is not None
            version = self._draft.base_of_last() if depends else None
            # A copy: who gave the value may change it before it is committed.
            value = None if new.operation == "delete" else done[0].value
            self.asked.append(replace(new, value=value, expect_version=version))
        return done

    def rows(self, stream: int, type: str) -> list[Row]:
        return _overlaid(self._draft, stream, type)


class Draft:
    """What was worked out so far."""

    def __init__(self) -> None:
        self._write_set = _DraftWriteSet()

    def do(self, operation: Callable[[Unit], T], provenance: Provenance) -> tuple[T, list[NewEvent]]:
        """Work out a unit: its result, and the events that it asked for one by one.

        Each has the version of the row that it needs to find, if it depends on one. Raises what the unit
        raises; then nothing of it is left here.
        """
        try:
            return self._do(operation, provenance)
        except (RowExists, RowNotFound):
            if not self._write_set.doubt():
                raise
        # Who was cut off and decides otherwise now may come to one that was done after one that was not; and
        # a row that was not there when the keys were read may have been made since.
        return self._do(operation, provenance)

    def _do(self, operation: Callable[[Unit], T], provenance: Provenance) -> tuple[T, list[NewEvent]]:
        unit, mark = _DraftUnit(self._write_set, provenance), self._write_set.mark()
        done = False
        try:
            result = operation(unit)
            done = True
        except StopIteration as error:  # no future lets it through: who waits for it would wait for ever
            raise RuntimeError("A unit raised StopIteration.") from error
        finally:
            if not done:
                self._write_set.undo(mark)
            self._write_set.forget_clean(mark)
        return result, unit.asked

    # -- reading: what was drafted over what is committed now

    def row(self, stream: int, type: str, key: str) -> Row | None:
        """One row."""
        if stream < 0 or self._write_set.is_changed((stream, type, key)):
            return self._write_set.row(stream, type, key)
        return committed.row(stream, type, key)

    def rows(self, stream: int, type: str) -> list[Row]:
        """All rows of a type, in order of creation."""
        return _overlaid(self._write_set, stream, type)

    def is_changed(self, stream: int, type: str, key: str) -> bool:
        """Whether a row is as the draft left it."""
        return stream < 0 or self._write_set.is_changed((stream, type, key))

    def unit(self) -> Unit:
        """To look at records and streams as they would be."""
        return Unit(self._write_set, Provenance(""))

    def read(self, stream: int, after: int, limit: int) -> list[Event]:
        """Events after an offset. The offsets of those that were drafted are what they would be now."""
        there = [] if stream < 0 else committed.read(stream, after, limit)
        mine = [
            event for event in self._write_set.appended if event.stream == stream and event.offset > after
        ]
        return [*there, *mine][:limit]

    def rows_where(self, stream: int, type: str, fields: Mapping[str, Any]) -> list[Row]:
        """Rows of a type whose fields equal these values; see `log.stream`."""
        changed = self._write_set.changed(stream, type)
        there = [] if stream < 0 else committed.rows_where(stream, type, fields)
        mine = [row for row in changed.values() if row is not None and committed.has_fields(row, fields)]
        found = [*(row for row in there if row.key not in changed), *mine]
        return sorted(found, key=lambda row: row.created)

    def count_of(self, stream: int, type: str) -> int:
        """How many rows of a type there are."""
        changed = self._write_set.changed(stream, type)
        mine = sum(row is not None for row in changed.values())
        if stream < 0:
            return mine
        of_type, keys = RowRecord.objects.filter(stream=stream, type=type), list(changed)
        parts = (keys[first : first + AT_ONCE] for first in range(0, len(keys), AT_ONCE))
        return of_type.count() - sum(of_type.filter(key__in=part).count() for part in parts) + mine


def _overlaid(write_set: _DraftWriteSet, stream: int, type: str) -> list[Row]:
    changed = write_set.changed(stream, type)
    there = [] if stream < 0 else committed.rows(stream, type)
    kept = [row for row in there if row.key not in changed]
    mine = [row for row in changed.values() if row is not None]
    return sorted([*kept, *mine], key=lambda row: row.created)
