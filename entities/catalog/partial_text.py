"""Texts that are still being written: what their deltas add up to so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from entities.catalog import timeline
from shared_state.core.types import Event, Row

MOST_DELTAS = 20_000
"""How many deltas are read at the most."""

ENDLESS = 10**18
"""An offset that no event has."""

Read = Callable[[int, int, int, tuple[str, ...]], list[Event]]
"""(stream, after, limit, types) -> events, oldest first: how the caller reads the log."""

Raws = dict[tuple[str, str], str]
"""Type and key of a row → its text so far."""


def raws(read: Read, stream: int, rows: Iterable[Row]) -> Raws:
    """What has been said so far of those rows that are not finished."""
    open_rows = timeline.partial_rows(rows)
    if not open_rows:
        return {}
    return timeline.joined(_deltas(read, stream, min(row.created for row in open_rows)))


def said(read: Read, stream: int, row: Row, until: int) -> str:
    """What had been said of a row at an offset; all of it, if it is finished by now and pieces are gone."""
    deltas = _deltas(read, stream, row.created, (f"{row.type}_delta",), until)
    text = timeline.joined(deltas).get((row.type, row.key), "")
    content = row.value.get("content")
    return text if content is None or str(content).startswith(text) else str(content)


def _deltas(
    read: Read, stream: int, after: int, types: tuple[str, ...] = tuple(timeline.DELTAS), until: int = ENDLESS
) -> list[Event]:
    """Deltas after an offset, up to another. There are no more than offsets, so none is read beyond."""
    found: list[Event] = []
    while len(found) < MOST_DELTAS and (limit := min(1_000, until - after)) > 0:
        batch = read(stream, after, limit, types)
        found += [delta for delta in batch if delta.offset <= until]
        if len(batch) < limit or batch[-1].offset >= until:
            break
        after = batch[-1].offset
    return found
