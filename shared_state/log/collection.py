"""Rows by key: the changes that a unit makes to a collection, each validated before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel

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
    unit: Unit, stream: int, spec: CollectionSpec, row: Mapping[str, Any] | BaseModel, *, client_key: str = ""
) -> StateRow:
    """Add a row. Raises `InvalidRow`, `RowExists`."""
    return _put(unit, stream, spec, row, "insert", client_key)


def upsert(
    unit: Unit, stream: int, spec: CollectionSpec, row: Mapping[str, Any] | BaseModel, *, client_key: str = ""
) -> StateRow:
    """Add a row or replace it. Raises `InvalidRow`."""
    return _put(unit, stream, spec, row, "upsert", client_key)


def update(
    unit: Unit, stream: int, spec: CollectionSpec, key: str, changes: Changes, *,
    expect_version: int | None = None, client_key: str = "",
) -> StateRow:  # fmt: skip
    """Change fields of a row, or all of it by a function that changes or replaces the dict that it is given.

    Raises as `insert`, `RowNotFound` and `VersionConflict`.
    """
    if client_key and (before := unit.repeated(stream, client_key)) is not None:
        return _row(unit, stream, before)  # the row may have changed since, or gone
    current = unit.row(stream, spec.type, str(key))
    if current is None:
        raise RowNotFound(f"There is no row {key!r} in {spec.name} to update.")
    draft = current.value
    if callable(changes):
        replaced = changes(draft)
        draft = draft if replaced is None else replaced
    else:
        draft.update(changes)
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
    """Remove a row. Raises `RowNotFound`, `VersionConflict`."""
    unit.append(stream, [NewEvent(spec.type, str(key), None, "delete", client_key, expect_version)])


def done(unit: Unit, stream: int, event: NewEvent) -> StateRow | None:
    """Do a change that was worked out before; the row as it is then. Raises as whatever it is did."""
    found = unit.append(stream, [event])[0]
    return None if event.operation == "delete" else _row(unit, stream, found)


def _put(
    unit: Unit, stream: int, spec: CollectionSpec, row: Mapping[str, Any] | BaseModel,
    operation: Literal["insert", "upsert"], client_key: str,
) -> StateRow:  # fmt: skip
    value = spec.valid(row)
    new = NewEvent(spec.type, spec.key_of(value), value, operation, client_key, keep_old=True)
    return _row(unit, stream, unit.append(stream, [new])[0])


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
