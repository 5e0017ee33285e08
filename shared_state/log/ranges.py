"""Parts of many logs, read together: what begins at the same time asks for the same things."""

from __future__ import annotations

from collections.abc import Sequence

from shared_state.core.types import Event
from shared_state.write.sql import EVENT_COLUMNS, EVENTS, ROWS, as_event, as_row, dialect, quoted
from shared_state.write.statements import (
    Values,
    arrays,
    json_array,
    on_postgres,
    postgres_fetch,
    sqlite_fetch,
)

EventRange = tuple[int, str, int, int]
"""A stream, a type (empty: any), and from which offset to which (exclusive)."""

_SQLITE_EVENTS, _SQLITE_TYPED_EVENTS = (
    f"SELECT k.key, {quoted(EVENT_COLUMNS, 'e.')} FROM json_each(?) AS k CROSS JOIN {EVENTS} AS e "  # noqa: S608
    f"ON e.stream_id = k.value ->> 0 {typed} "
    'AND e."offset" >= k.value ->> 2 AND e."offset" < k.value ->> 3 ORDER BY k.key, e."offset"'
    for typed in ("", "AND e.type = k.value ->> 1")
)
_SQLITE_OTHERS = (
    "SELECT k.value ->> 0 FROM json_each(?) AS k WHERE EXISTS ("  # noqa: S608
    f"SELECT 1 FROM {ROWS} AS r WHERE r.stream_id = k.value ->> 0 AND r.type = k.value ->> 1 "
    "AND r.wake <> k.value ->> 2)"
)
_PG_EVENTS, _PG_TYPED_EVENTS = (
    f"SELECT k.place, {quoted(EVENT_COLUMNS, 'e.')} "  # noqa: S608
    "FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[]) "
    "WITH ORDINALITY AS k(stream_id, type, first, last, place) "
    f"CROSS JOIN LATERAL (SELECT * FROM {EVENTS} AS o WHERE o.stream_id = k.stream_id {typed} "
    'AND o."offset" >= k.first AND o."offset" < k.last ORDER BY o."offset") AS e ORDER BY k.place, e."offset"'
    for typed in ("", "AND o.type = k.type")
)
_PG_OTHERS = (
    "SELECT k.stream_id FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS k(stream_id, type, wake) "  # noqa: S608
    f"WHERE EXISTS (SELECT 1 FROM {ROWS} AS r WHERE r.stream_id = k.stream_id AND r.type = k.type "
    "AND r.wake <> k.wake)"
)


def read_ranges(ranges: Sequence[EventRange]) -> list[list[Event]]:
    """For each range of a log its events, oldest first: three statements at the most, however many ranges.

    For ranges that are known to be short: all of each is read.
    """
    found: list[list[Values]] = [[] for _ in ranges]
    for typed in (True, False):
        places = [place for place, (_, type, _, _) in enumerate(ranges) if bool(type) == typed]
        for number, *values in _events([ranges[place] for place in places], typed=typed):
            found[places[number - on_postgres()]].append(tuple(values))
    whole = _whole([values for each in found for values in each])
    return [[as_event(whole[id(values)]) for values in each if id(values) in whole] for each in found]


def _events(ranges: Sequence[EventRange], *, typed: bool) -> list[Values]:
    """Events of ranges; each begins with its range's place, as the database counts."""
    if not ranges:
        return []
    if on_postgres():
        return postgres_fetch(_PG_TYPED_EVENTS if typed else _PG_EVENTS, arrays(ranges))
    return sqlite_fetch(_SQLITE_TYPED_EVENTS if typed else _SQLITE_EVENTS, (json_array(ranges),))


def _whole(events: Sequence[Values]) -> dict[int, Values]:
    """Events by their identity; what was left to their rows when the log was pruned is read there.

    Those are left out whose row has changed since, or is gone: see `stream.read`.
    """
    pruned = [values for values in events if values[5] is None]
    rows = {}
    if pruned:
        keys = list({(values[0], values[2], values[3]) for values in pruned})
        rows = {row[:3]: row for row in dialect().rows(keys)}
    found = {}
    for values in events:
        if values[5] is None:
            row = rows.get((values[0], values[2], values[3]))
            if row is None or as_row(row).version != values[1]:
                continue
            found[id(values)] = (*values[:5], row[3], *values[6:])
        else:
            found[id(values)] = values
    return found


def written_by_others(places: Sequence[tuple[int, str, str]]) -> set[int]:
    """Of places (a stream, a type, a wake), the streams with a row of that type that another wake wrote."""
    if not places:
        return set()
    if on_postgres():
        found = postgres_fetch(_PG_OTHERS, arrays(places))
    else:
        found = sqlite_fetch(_SQLITE_OTHERS, (json_array(places),))
    return {stream for (stream,) in found}
