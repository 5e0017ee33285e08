"""Collections as tables: rows in order of creation, each with who changed it last, from what and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from django.utils.html import format_html
from django.utils.safestring import SafeString

from shared_state import api
from shared_state.api import CollectionSpec, Event, Json, Provenance, Row, StreamInfo
from shared_state.html.changes import Change, Drop, Put
from shared_state.html.dom import dom_id
from shared_state.html.partials import joined, partial
from shared_state.live.codecs import codec
from shared_state.models import EventRecord

_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a row; `was` is what it held before the row's last change, if that changed it."""

    column: str
    shown: SafeString
    was: SafeString
    changed: bool
    number: bool

    @property
    def css(self) -> str:
        """The classes of the cell."""
        marks = (("number", self.number), ("changed", self.changed))
        return " ".join(["cell", *(name for name, has in marks if has)])

    @property
    def focus(self) -> SafeString:
        """What lets the keyboard reach a cell that has something to tell."""
        return SafeString('tabindex="0"' if self.changed else "")


@dataclass(frozen=True, slots=True)
class State:
    """A row, or what an event made of it: what rendering needs. `old` is the value before its last change."""

    key: str
    value: Json
    old: Json | None
    provenance: Provenance
    changed_at: datetime
    created: int | None


@codec("table")
def render_table(stream: StreamInfo, events: Sequence[Event]) -> list[Change]:
    """The tables of a shared state."""
    return changes(stream.id, api.collections(stream.schema), events)


def changes(stream: int, specs: Mapping[str, CollectionSpec], events: Sequence[Event]) -> list[Change]:
    """What events change in the tables of some collections of a stream."""
    by_type = {spec.type: spec for spec in specs.values()}
    found: list[Change] = []
    for event in events:
        spec = by_type.get(event.type)
        if spec is None:
            continue
        target = row_id(stream, spec, event.key)
        if event.operation == "delete":
            found.append(Drop(target))
            continue
        inserted = event.operation == "insert"
        state = State(
            event.key,
            event.value,
            event.old if event.operation == "update" else None,
            event.provenance,
            event.timestamp,
            event.offset if inserted else None,
        )
        html = render_row(stream, spec, state)
        found.append(Put(target, body_id(stream, spec), order_of(state), html, inserted))
    return found


def row_id(stream: int, spec: CollectionSpec, key: str) -> str:
    """Where the pushes of a row go; it stays the same as long as the row has its key."""
    return dom_id("row", stream, spec.type, key)


def body_id(stream: int, spec: CollectionSpec) -> str:
    """The id of a table's body."""
    return dom_id("rows", stream, spec.type)


def order_of(state: State) -> str:
    """In order of creation; empty if the row is in its place already."""
    return f"{state.created:016d}" if state.created is not None else ""


def columns(spec: CollectionSpec) -> list[str]:
    """The fields to show: the key first, then in the schema's order. Untyped rows have none in common."""
    properties = list((spec.json_schema or {}).get("properties", {}))
    if not properties:
        return []
    return [spec.primary_key, *(name for name in properties if name != spec.primary_key)]


def render_row(stream: int, spec: CollectionSpec, state: State) -> SafeString:
    """A row, alike for the page and for pushes. Without a schema it has a cell for each of its own fields."""
    names = columns(spec)
    fields = names or [name for name in {**(state.old or {}), **state.value} if name != spec.primary_key]
    context = {
        "id": row_id(stream, spec, state.key),
        "key": state.key,
        "order": order_of(state),
        "state": state,
        "cells": [_cell(name, state, typed=bool(names)) for name in fields],
        "typed": bool(names),
    }
    return partial("shared_state/table/row.html", context)


@dataclass(frozen=True, slots=True)
class Table:
    """A collection on a page."""

    spec: CollectionSpec
    title_id: str
    body_id: str
    headings: list[dict[str, str]]
    rows: SafeString
    count: str
    shown: int
    is_cut: bool
    """Whether there are more rows than are shown."""
    earlier_url: str = ""
    """Where earlier rows are loaded from, if there are any, before the offset `before`."""
    before: int | None = None

    def going_on(self, url: str, before: int | None) -> Table:
        """The same, with earlier rows to be loaded from there; without any if `before` is `None`."""
        return self if before is None else replace(self, earlier_url=url, before=before)

    @property
    def width(self) -> int:
        """How many columns are shown: those of the collection, and who changed a row."""
        return len(self.headings) + 1


def table_of(
    stream: int, spec: CollectionSpec, rows: Iterable[Row], olds: Mapping[int, Json], count: int
) -> Table:
    """A collection of a stream with those of the rows that are its own.

    `count`: how many it has in all, as `api.count_rows` counts.
    """
    own = [row for row in rows if row.type == spec.type]
    names = columns(spec) or ["key", "value"]
    rules = (spec.json_schema or {}).get("properties", {})
    numbers = {name for name, rule in rules.items() if rule.get("type") in ("integer", "number")}
    headings = [{"name": name, "css": "number" if name in numbers else ""} for name in names]
    shown, how_many = render_rows(stream, spec, own, olds), api.how_many(count)
    title = dom_id("title", stream, spec.type)
    return Table(
        spec, title, body_id(stream, spec), headings, shown, how_many, len(own), count > len(own)
    )  # fmt: skip


def render_rows(
    stream: int, spec: CollectionSpec, rows: Iterable[Row], olds: Mapping[int, Json]
) -> SafeString:
    """Rows of a collection. `olds`: what an update replaced, by the offset of the update."""
    states = [
        State(row.key, row.value, olds.get(row.version), row.provenance, row.updated_at, row.created)
        for row in rows
    ]
    return joined(render_row(stream, spec, state) for state in states)


def replaced(stream: int, rows: Iterable[Row]) -> dict[int, Json]:
    """What the last change of each row replaced, by the offset of that change. One query."""
    updated = [row.version for row in rows if row.version != row.created]
    if not updated:
        return {}
    found = EventRecord.objects.filter(stream=stream, offset__in=updated, operation="update")
    return {offset: old for offset, old in found.values_list("offset", "old") if old is not None}


def _cell(name: str, state: State, *, typed: bool) -> Cell:
    value = state.value.get(name, _ABSENT)
    was = state.old.get(name, _ABSENT) if state.old is not None else value
    # Only what stands in a column of its own is aligned with its like.
    number = typed and isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(name, _shown(value), _shown(was), was != value, number)


def _shown(value: Any) -> SafeString:
    """A value as a cell shows it: what is a word of ours, not the row's own, is told apart."""
    if value is _ABSENT or value is None:
        return format_html('<span class="faint">{}</span>', "–" if value is _ABSENT else "none")
    if isinstance(value, bool):
        return SafeString("yes" if value else "no")
    text = value if isinstance(value, str) else str(orjson.dumps(value, default=str), "utf-8")
    return format_html('<span class="value">{}</span>', text)
