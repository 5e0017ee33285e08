"""Rows by key: the changes that a unit makes to a collection, each validated before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from shared_state.core.json_text import decoded, encoded
from shared_state.core.same import Filled, is_same, other_content
from shared_state.core.schema import CollectionSpec, collections
from shared_state.core.types import Event, Json, NewEvent, Row
from shared_state.exceptions import InvalidRow, RowNotFound
from shared_state.log.stream import get_stream_by_id
from shared_state.write.unit import Unit

Changes = Mapping[str, Any] | Callable[[Json], Json | None]


class StateRow(dict[str, Any]):
    """A row as handlers read it: a dict that also knows its provenance.

    `version` is the offset of its last change; `writer`, `wake`, `run` and `tool_call` say whose it was.
    """

    def __init__(self, row: Row) -> None:
        super().__init__(row.value)
        self.version = row.version
        self.writer = row.provenance.writer
        self.wake = row.provenance.wake
        self.run = row.provenance.run
        self.tool_call = row.provenance.tool_call
        self.updated_at = row.updated_at


def collections_of(stream: int) -> dict[str, CollectionSpec]:
    """The collections that a stream stores. Raises `StreamNotFound`."""
    return collections(get_stream_by_id(stream).schema)


def insert(
    unit: Unit, stream: int, spec: CollectionSpec, row: Mapping[str, Any] | BaseModel, *,
    client_key: str = "", given: Any = None,
) -> StateRow:  # fmt: skip
    """Add a row. Raises `InvalidRow`, `RowExists`, and `KeyReused` if the client's key had other content.

    `given` is the row before its defaults were filled in, by default the row itself.
    """
    return _put(unit, stream, spec, row, "insert", client_key, given)


def upsert(
    unit: Unit, stream: int, spec: CollectionSpec, row: Mapping[str, Any] | BaseModel, *,
    client_key: str = "", given: Any = None,
) -> StateRow:  # fmt: skip
    """Add a row or replace it. Raises `InvalidRow`, `KeyReused`. `given` as for `insert`."""
    return _put(unit, stream, spec, row, "upsert", client_key, given)


def update(
    unit: Unit, stream: int, spec: CollectionSpec, key: str, changes: Changes, *,
    expect_version: int | None = None, client_key: str = "",
) -> StateRow:  # fmt: skip
    """Change fields of a row, or all of it by a function that changes or replaces the dict that it is given.

    Raises as `insert`, `RowNotFound` and `VersionConflict`. What a function came to is not compared when the
    client's key comes again: the row that it was given may be gone.
    """
    before = _before(unit, stream, spec, str(key), client_key, ("update",))
    if before is not None:
        if not callable(changes):
            _require_same(spec, before, spec.fields_of(changes))
        return _row(unit, stream, before)  # the row may have changed since, or gone
    current = unit.row(stream, spec.type, str(key))
    if current is None:
        raise RowNotFound(f"There is no row {key!r} in {spec.name} to update.")
    draft = current.value
    if callable(changes):
        replaced = changes(draft)
        draft = draft if replaced is None else replaced
    else:
        draft.update(spec.fields_of(changes))
    value = spec.valid(draft)
    if spec.key_of(value) != str(key):
        raise InvalidRow(
            f"{spec.name}: an update cannot change {spec.primary_key!r} ({key!r}); insert another row."
        )
    new = NewEvent(spec.type, str(key), value, "update", client_key, expect_version, keep_old=True)
    return _row(unit, stream, unit.append(stream, [new])[0])


def delete(
    unit: Unit, stream: int, spec: CollectionSpec, key: str, *,
    expect_version: int | None = None, client_key: str = "",
) -> None:  # fmt: skip
    """Remove a row. Raises `RowNotFound`, `VersionConflict`, `KeyReused`."""
    if _before(unit, stream, spec, str(key), client_key, ("delete",)) is not None:
        return
    unit.append(stream, [NewEvent(spec.type, str(key), None, "delete", client_key, expect_version)])


def done(unit: Unit, stream: int, event: NewEvent) -> StateRow | None:
    """Do a change that was worked out before; the row as it is then. Raises as whatever it is did."""
    found = unit.append(stream, [event])[0]
    return None if event.operation == "delete" else _row(unit, stream, found)


def _put(
    unit: Unit, stream: int, spec: CollectionSpec, row: Mapping[str, Any] | BaseModel,
    operation: Literal["insert", "upsert"], client_key: str, given: Any,
) -> StateRow:  # fmt: skip
    value = spec.valid(row)
    key = spec.key_of(value)
    operations = ("insert",) if operation == "insert" else ("insert", "update")
    before = _before(unit, stream, spec, key, client_key, operations)
    if before is not None:
        filled = Filled(value, spec.fields_of(row) if given is None else given, spec.fields)
        _require_same(spec, before, found := filled.beside(before.value))
        if gone := before.value.keys() - found.keys():
            raise other_content(_called(spec, before), value, {name: before.value[name] for name in gone})
        return _row(unit, stream, before)
    new = NewEvent(spec.type, key, value, operation, client_key, keep_old=True)
    return _row(unit, stream, unit.append(stream, [new])[0])


def _before(
    unit: Unit, stream: int, spec: CollectionSpec, key: str, client_key: str, operations: tuple[str, ...]
) -> Event | None:
    """What was done with a client's key. Raises `KeyReused` if that was something else than this."""
    before = unit.repeated(stream, client_key) if client_key else None
    if before is not None:
        done, wanted = (before.type, before.key, before.operation), (spec.type, key, operations[-1])
        if done[:2] != wanted[:2] or before.operation not in operations:
            raise other_content(_called(spec, before), wanted, done)
    return before


def _require_same(spec: CollectionSpec, before: Event, fields: Mapping[str, Any]) -> None:
    """Raise `KeyReused` unless the row had these fields when it was written with the client's key."""
    stored = before.value
    spec.require_json(fields)
    for name, value in decoded(encoded(fields)).items():
        if name not in stored or not is_same(value, stored[name]):
            raise other_content(_called(spec, before), {name: value}, {name: stored.get(name)})


def _called(spec: CollectionSpec, before: Event) -> str:
    return f"{spec.name}: this change of {before.key!r}"


def _row(unit: Unit, stream: int, event: Event) -> StateRow:
    """The row as this event left it, also when the event is the repetition of an earlier one."""
    current = unit.row(stream, event.type, event.key)
    if current is not None and current.version == event.offset:
        return StateRow(current)
    since = (current.created, current.created_at) if current else (event.offset, event.timestamp)
    return StateRow(
        Row(
            stream, event.type, event.key, event.value, since[0], event.offset, since[1], event.timestamp,
            event.provenance,
        )
    )  # fmt: skip
