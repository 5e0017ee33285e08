"""Collections as tables: rows in order of creation, each with who changed it last, from what and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from shared_state.html.excerpt import LINE, MANY, PAGE, ROW, excerpt, named, newest_within, shares, size
from shared_state.html.partials import joined, partial
from shared_state.html.whole import Shown, Source, more, shown
from shared_state.live.codecs import codec
from shared_state.models import EventRecord

_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a row; if the row's last change changed it, `was` and `now` say from what to what."""

    column: str
    shown: SafeString
    was: SafeString
    now: SafeString
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
    """All its fields: the key first, then in the schema's order. Untyped rows have none in common."""
    properties = list((spec.json_schema or {}).get("properties", {}))
    if not properties:
        return []
    return [spec.primary_key, *(name for name in properties if name != spec.primary_key)]


def render_row(stream: int, spec: CollectionSpec, state: State) -> SafeString:
    """A row, alike for the page and for pushes. Without a schema it has a cell for each of its own fields."""
    names = columns(spec)
    fields = names or [name for name in {**(state.old or {}), **state.value} if name != spec.primary_key]
    source = Source(stream, spec.type, state.key)
    context = {
        "id": row_id(stream, spec, state.key),
        "key": state.key,
        "order": order_of(state),
        "state": state,
        "cells": _cells(fields[:MANY], state, source, typed=bool(names)),
        "typed": bool(names),
        "more": more(len(fields[MANY:]), source, what="fields"),
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


def table_of(stream: int, spec: CollectionSpec, rows: Sequence[tuple[Row, SafeString]], count: int) -> Table:
    """A collection of a stream with those of the rows, as `render_rows` gives them, that are its own.

    `count`: how many it has in all, as `api.count_rows` counts.
    """
    own = [html for row, html in rows if row.type == spec.type]
    names = columns(spec)[:MANY] or ["key", "value"]
    rules = (spec.json_schema or {}).get("properties", {})
    numbers = {name for name, rule in rules.items() if rule.get("type") in ("integer", "number")}
    headings = [{"name": named(name), "css": "number" if name in numbers else ""} for name in names]
    title = dom_id("title", stream, spec.type)
    return Table(
        spec, title, body_id(stream, spec), headings, joined(own), api.how_many(count), len(own),
        count > len(own),
    )  # fmt: skip


def render_rows(
    stream: int,
    spec: CollectionSpec,
    rows: Sequence[Row],
    olds: Mapping[int, Json],
    room: int = PAGE,
) -> list[tuple[Row, SafeString]]:
    """The newest rows of a collection, which come in order of creation, as far as a page has room for them.

    `olds`: what an update replaced, by the offset of the update.
    """

    def html(row: Row) -> SafeString:
        state = State(
            row.key, row.value, olds.get(row.version), row.provenance, row.updated_at, row.created
        )  # fmt: skip
        return render_row(stream, spec, state)

    return newest_within(rows, html, room)


def replaced(stream: int, rows: Sequence[Row]) -> dict[int, Json]:
    """What the last change of each row replaced, by the offset of that change. One query."""
    updated = [row.version for row in rows if row.version != row.created]
    if not updated:
        return {}
    found = EventRecord.objects.filter(stream=stream, offset__in=updated, operation="update")
    return {offset: old for offset, old in found.values_list("offset", "old") if old is not None}


def _cells(fields: Sequence[str], state: State, source: Source, *, typed: bool) -> list[Cell]:
    """The fields of a row; what is long shares the room of the row."""
    values = [state.value.get(name, _ABSENT) for name in fields]
    rooms = shares([size(_text(value)[: ROW + 1]) for value in values], ROW)
    return [
        _cell(name, state, shown(_text(value), room, source, name), typed=typed)
        for name, value, room in zip(fields, values, rooms, strict=True)
    ]


def _cell(name: str, state: State, found: Shown, *, typed: bool) -> Cell:
    value = state.value.get(name, _ABSENT)
    was = state.old.get(name, _ABSENT) if state.old is not None else value
    # Only what stands in a column of its own is aligned with its like.
    number = typed and isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(
        named(name),
        _marked(value, found.text) + found.more,
        _in_line(was),
        _in_line(value),
        was != value,
        number,
    )


def _in_line(value: Any) -> SafeString:
    """The beginning of a value, for a note beside it."""
    found = excerpt(_text(value), LINE)
    return _marked(value, f"{found.text}…" if found.left else found.text)


def _text(value: Any) -> str:
    """What a cell says."""
    if value is _ABSENT or value is None:
        return "–" if value is _ABSENT else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else str(orjson.dumps(value, default=str), "utf-8")


def _marked(value: Any, text: str) -> SafeString:
    """What is a word of ours, not the row's own, is told apart."""
    if value is _ABSENT or value is None:
        return format_html('<span class="faint">{}</span>', text)
    if isinstance(value, bool):
        return SafeString(text)
    return format_html('<span class="value">{}</span>', text)
