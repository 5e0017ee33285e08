"""Texts that are still being written: what their deltas add up to so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from entities.catalog import timeline
from shared_state.core.types import Event, Row

MOST_DELTAS = 20_000
"""How many deltas are read at the most."""

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
    """What had been said of a row at an offset; more than that, if it is finished by now."""
    if (content := row.value.get("content")) is not None:
        return str(content)  # the pieces may be gone
    deltas = [delta for delta in _deltas(read, stream, row.created) if delta.offset <= until]
    return timeline.joined(deltas).get((row.type, row.key), "")


def _deltas(read: Read, stream: int, after: int) -> list[Event]:
    found: list[Event] = []
    while len(found) < MOST_DELTAS:
        batch = read(stream, after, 1_000, tuple(timeline.DELTAS))
        found += batch
        if len(batch) < 1_000:
            break
        after = batch[-1].offset
    return found
