"""The tables beside events and rows, for units: asked once for a batch, changed in memory, written in bulk.

A unit that deals with its records through here needs neither a savepoint nor statements of its own: what it
looks up was asked together with what all others of its batch look up, and what it changes is written with
theirs. It is an identity map and a unit of work (Fowler, *Patterns of Enterprise Application Architecture*),
with a journal, so that a unit that fails can be undone in memory.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import models

from shared_state.core import database
from shared_state.write.plan import plan
from shared_state.write.statements import on_postgres

M = TypeVar("M", bound=models.Model)
IDS_AT_ONCE = 256
"""How many keys are fetched from a sequence of PostgreSQL at a time; those left serve later batches."""

_ids: dict[tuple[str, str], deque[int]] = {}
os.register_at_fork(after_in_child=_ids.clear)


class Lookup(Generic[M]):
    """A question that many units ask: the records of `model` whose `column` is a key.

    `condition` narrows it in SQL, where the table is `t`, and `holds` says the same of a record, by the
    columns that are in `reads`. `free` asks for a lock on each, and leaves out what somebody else has locked.
    """

    def __init__(
        self, model: type[M], column: str, condition: str = "", holds: Callable[[M], bool] | None = None, *,
        reads: Iterable[str] = (), free: bool = False,
    ) -> None:  # fmt: skip
        if holds is not None and not reads:
            raise TypeError(f"A lookup of {model.__name__} by a condition says which columns that reads.")
        self.model = model
        self.column = column
        self.decided_by = frozenset({column, *reads})
        """The columns that decide under which key a record is found."""
        self._condition = condition
        self._holds = holds
        self._free = free

    def key_of(self, record: M) -> Any:
        """Under which key a record is found; `None` if under none."""
        return getattr(record, self.column) if self._holds is None or self._holds(record) else None

    @cached_property
    def _statements(self) -> dict[bool, str]:
        return {}

    def ask(self, keys: Iterable[Any]) -> list[Any]:
        """The rows for keys, for `plan(model).records`."""
        known = self._statements
        if on_postgres() not in known:
            made = plan(self.model).by_column(self.column, self._condition, free=self._free)
            known[on_postgres()] = made
        return plan(self.model).fetch(known[on_postgres()], list(keys))


class Tables:
    """The records of one transaction. Not for use by two threads."""

    def __init__(self) -> None:
        self._held: dict[type[models.Model], dict[Any, Any]] = {}
        self._answers: dict[Lookup[Any], dict[Any, list[Any]]] = {}
        self._new: dict[type[models.Model], dict[Any, Any]] = {}
        self._changed: dict[type[models.Model], dict[Any, dict[str, None]]] = {}
        self._gone: dict[type[models.Model], dict[Any, Any]] = {}
        self._journal: list[Callable[[], object]] = []
        self._written = 0  # how many entries of the journal are beyond undoing
        self._last_id: dict[type[models.Model], int] = {}

    # -- asking

    def find(self, lookup: Lookup[M], key: Hashable) -> list[M]:
        """The records under a key, with what this transaction did to them."""
        self.ask(lookup, [key])
        return list(self._answers[lookup][key])

    def one(self, lookup: Lookup[M], key: Hashable) -> M | None:
        """The record under a key of which there is one at the most."""
        found = self.find(lookup, key)
        return found[0] if found else None

    def ask(self, lookup: Lookup[Any], keys: Iterable[Hashable]) -> None:
        """Ask at once for all keys that were not asked for before."""
        answers = self._answers.setdefault(lookup, {})
        missing = {key: None for key in keys if key not in answers}
        if not missing:
            return
        for key in missing:
            answers[key] = []
        held = self._held.setdefault(lookup.model, {})
        for read in plan(lookup.model).records(lookup.ask(missing)):
            record = held.setdefault(read.pk, read)
            if record.pk in self._gone.get(lookup.model, ()):
                continue
            if (key := lookup.key_of(record)) in missing:
                answers[key].append(record)
        for record in (*self._new.get(lookup.model, {}).values(), *self._changed_records(lookup.model)):
            key = lookup.key_of(record)
            if key in missing and record not in answers[key]:
                answers[key].append(record)

    def know(self, lookup: Lookup[M], key: Hashable, *records: M) -> None:
        """What is under a key, where that is certain without asking: of a record that is new."""
        answers = self._answers.setdefault(lookup, {})
        answers[key] = list(records)
        self._journal.append(lambda: answers.pop(key, None))

    def _changed_records(self, model: type[models.Model]) -> list[Any]:
        return [self._held[model][key] for key in self._changed.get(model, ())]

    # -- changing

    def new_id(self, model: type[models.Model]) -> int:
        """A key for a new record."""
        if not on_postgres():
            last = self._last_id.get(model)
            self._last_id[model] = (plan(model).last_id() if last is None else last) + 1
            return self._last_id[model]
        place = (str(database.connection().settings_dict["NAME"]), model._meta.db_table)
        pool = _ids.setdefault(place, deque())
        while True:
            try:
                return pool.popleft()
            except IndexError:  # other threads take from it, too
                pool.extend(plan(model).ids(IDS_AT_ONCE))

    def add(self, record: M) -> M:
        """Insert a record; its key is set here if it has none."""
        if record.pk is None:
            record.pk = self.new_id(type(record))
        new = self._new.setdefault(type(record), {})
        held = self._held.setdefault(type(record), {})
        new[record.pk] = held[record.pk] = record
        self._place(record, {})
        self._journal.append(lambda: (new.pop(record.pk, None), held.pop(record.pk, None)))
        return record

    def change(self, record: models.Model, **fields: Any) -> None:
        """Set fields of a record that was found or added here, by their names as columns."""
        if self._held.setdefault(type(record), {}).setdefault(record.pk, record) is not record:
            raise ValueError(f"{record!r} is held here as another object: change the one that was found.")
        moving = any(
            lookup.model is type(record) and not lookup.decided_by.isdisjoint(fields)
            for lookup in self._answers
        )
        before, attributes = self._keys(record) if moving else {}, record.__dict__
        old = {name: attributes[name] for name in fields}
        attributes.update(fields)
        changed = self._changed.setdefault(type(record), {})
        if record.pk not in self._new.get(type(record), ()):
            marked = changed.get(record.pk)
            changed[record.pk] = {**(marked or {}), **dict.fromkeys(fields)}
            self._journal.append(lambda: _restore(changed, record.pk, marked))
        self._journal.append(lambda: attributes.update(old))
        if moving:
            self._place(record, before)

    def delete(self, record: models.Model) -> None:
        """Delete a record; nothing may refer to it."""
        model = type(record)
        before = self._keys(record)
        new, gone = self._new.setdefault(model, {}), self._gone.setdefault(model, {})
        if record.pk in new:
            del new[record.pk]
            self._journal.append(lambda: new.__setitem__(record.pk, record))
        else:
            gone[record.pk] = record
            self._journal.append(lambda: gone.pop(record.pk, None))
        for lookup, key in before.items():
            self._take(self._answers[lookup][key], record)

    def _keys(self, record: models.Model) -> dict[Lookup[Any], Any]:
        """Under which keys that were asked for a record is found."""
        model = type(record)
        return {
            lookup: key
            for lookup, answers in self._answers.items()
            if lookup.model is model and (key := lookup.key_of(record)) in answers
        }

    def _place(self, record: models.Model, before: Mapping[Lookup[Any], Any]) -> None:
        """Put a record where it is found now."""
        after = self._keys(record)
        if after == before:
            return
        for lookup, key in before.items():
            if after.get(lookup) != key:
                self._take(self._answers[lookup][key], record)
        for lookup, key in after.items():
            found = self._answers[lookup][key]
            if record not in found:
                found.append(record)
                self._journal.append(lambda found=found: found.remove(record))  # type: ignore[misc]

    def _take(self, found: list[Any], record: Any) -> None:
        if record in found:
            place = found.index(record)
            found.remove(record)
            self._journal.append(lambda: found.insert(place, record))

    # -- going back, and writing

    def mark(self) -> int:
        """A point to come back to."""
        return self._written + len(self._journal)

    def undo(self, mark: int) -> None:
        """Forget everything since `mark`, in reverse order."""
        while self._journal and self._written + len(self._journal) > mark:
            self._journal.pop()()

    def flush(self) -> None:
        """Write what was changed. It cannot be undone here any more."""
        for model, new in self._new.items():
            if new:
                plan(model).insert(list(new.values()))
                new.clear()
        for model, changed in self._changed.items():
            self._update(model, changed)
            changed.clear()
        for model, gone in self._gone.items():
            if gone:
                plan(model).delete(list(gone))
                gone.clear()
        self._seal()

    def _update(self, model: type[models.Model], changed: Mapping[Any, Mapping[str, None]]) -> None:
        """In order of key, those with the same columns together."""
        groups: dict[tuple[str, ...], list[Any]] = {}
        gone = self._gone.get(model, {})
        for key in sorted(changed):
            if key not in gone:
                groups.setdefault(tuple(sorted(changed[key])), []).append(self._held[model][key])
        for names, records in groups.items():
            plan(model).update(names, records)

    def forget(self) -> None:
        """Know nothing any more, since the tables may have been changed by other means. Flush first."""
        self._held.clear()
        self._answers.clear()
        self._gone.clear()
        self._last_id.clear()
        self._seal()

    def _seal(self) -> None:
        self._written += len(self._journal)
        self._journal.clear()


def _restore(changed: dict[Any, Any], key: Any, marked: Any) -> None:
    if marked is None:
        changed.pop(key, None)
    else:
        changed[key] = marked
