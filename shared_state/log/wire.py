"""Logs as bytes: stored JSON is passed on as it is, neither parsed nor written again.

A database hands out six values for each event: its offset, its time, its *source* (type, operation, writer,
wake, run and tool call, as one JSON array), and key, value and old value as JSON. Most events share their
source with others, so it is taken apart once. `Plain` writes what `Event.wire` says; `Compact` writes what
repeats once. Measured in `tests/benchmarks/bench_http.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from shared_state.core import database
from shared_state.log.stream import first_offsets

PAGE_EVENTS = 1_000
PAGE_BYTES = 512 * 1024
"""A page ends with the event whose value reaches this, so that what is held at once is bounded."""

LAST_OFFSET = 2**63 - 1
"""No log is as long."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PROVENANCE = ("writer", "wake", "run", "tool_call")

Stored = tuple[int, int | str, str, str, str, str | None]
"""Offset, time (microseconds since 1970, or SQLite's text), and as JSON source, key, value and old value.

An event that left its value to a row that changed since, or is gone, has none; `page` passes it over.
"""


class Page(NamedTuple):
    """Events in a row. `last` is the offset of the last one, `size` the characters of their values.

    `complete`: when it was read there was nothing after it.
    """

    events: list[str]
    last: int
    size: int
    complete: bool


class Plain:
    """Events in the wire form of `spec.md`, section 4, as JSON objects. One for each answer."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[str, str, str]] = {}
        self._time: int | str = -1
        self._when = ""

    def __call__(self, event: Stored) -> str:
        """One event as JSON."""
        offset, time, source, key, value, old = event
        if time != self._time:
            self._time = time
            passed = _microseconds(time)
            when = _EPOCH + timedelta(microseconds=passed)
            self._when = f'","timestamp":"{when.isoformat()}","txid":"{passed}"'
        begin, middle, end = self._sources.get(source) or self._learn(source)
        digits = str(offset).zfill(32)  # as `format_offset`, in a third of the time
        if old is not None:
            end = f'{end},"old_value":{old}'
        return f'{begin}{key},"value":{value}{middle}{digits[:16]}_{digits[16:]}{self._when}{end}}}}}'

    def _learn(self, source: str) -> tuple[str, str, str]:
        """What stands before the key, the offset and the end in each event of this source."""
        type, operation, *provenance = (orjson.dumps(part).decode() for part in orjson.loads(source))
        end = "".join(
            f',"{name}":{part}'
            for name, part in zip(_PROVENANCE, provenance, strict=True)
            if part != '""' or name == "writer"
        )
        found = (f'{{"type":{type},"key":', f',"headers":{{"operation":{operation},"offset":"', end)
        self._sources[source] = found
        return found


class Compact:
    """Events as JSON arrays in which what repeats stands once. One for each answer.

    `[source, offset, time, key, value]`, and the old value where there is one. `source` is
    `[type, operation, writer, wake, run, tool_call]` the first time, and from then on its number, from 0.
    `offset`, and `time` in microseconds, are counted from the event before: from 0 and 1970 for the first.
    """

    def __init__(self) -> None:
        self._sources: dict[str, int] = {}
        self._offset = 0
        self._time: int | str = -1
        self._microseconds = 0

    def __call__(self, event: Stored) -> str:
        """One event as JSON."""
        offset, time, source, key, value, old = event
        later = 0
        if time != self._time:
            self._time = time
            now = _microseconds(time)
            later, self._microseconds = now - self._microseconds, now
        further, self._offset = offset - self._offset, offset
        number = self._sources.get(source)
        if number is None:
            self._sources[source] = len(self._sources)
        end = "]" if old is None else f",{old}]"
        return f"[{source if number is None else number},{further},{later},{key},{value}{end}"


Form = Callable[[Stored], str]
FORMS: dict[str, Callable[[], Form]] = {"plain": Plain, "compact": Compact}


def _microseconds(time: int | str) -> int:
    """Since 1970. SQLite stores times in UTC, as text that does not name the zone."""
    if isinstance(time, int):
        return time
    return (datetime.fromisoformat(time).replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def page(
    stream: int, after: int, limit: int, types: Sequence[str] | None, form: Form,
    most_bytes: int = PAGE_BYTES, until: int = LAST_OFFSET,
) -> Page:  # fmt: skip
    """The events after an offset, oldest first: `limit` at the most, and no more than a page holds.

    None of `until` or later.

    Runs in a thread that uses the database, and holds its connection no longer than this call. One query; of
    several types, up to three more and one for each type.
    """
    wanted, bound = min(limit, PAGE_EVENTS), min(most_bytes, PAGE_BYTES)
    events: list[str] = []
    size, last, read = 0, after, 0
    with closing(_stored(stream, (after, until), wanted, types)) as found:
        for event in found:
            last = event[0]
            read += 1
            if not event[4]:
                continue
            events.append(form(event))
            size += len(event[4]) + len(event[5] or "")
            if size >= bound:
                return Page(events, last, size, complete=False)
    return Page(events, last, size, complete=read < wanted)


def _stored(
    stream: int, between: tuple[int, int], limit: int, types: Sequence[str] | None
) -> Generator[Stored, None, None]:
    if types is None:
        return _rows("", [stream, *between, limit])
    if len(types) == 1:
        return _rows("AND type = %s ", [stream, *between, types[0], limit])
    offsets = first_offsets(stream, between[0], limit, types)
    places = ", ".join(["%s"] * len(offsets)) or "NULL"
    return _rows(f'AND "offset" IN ({places}) ', [stream, *between, *offsets, limit])


def _rows(condition: str, params: list[Any]) -> Generator[Stored, None, None]:
    """What is stored, taken from the driver a few at a time: a page may end long before its last row."""
    connection = database.connection()
    connection.ensure_connection()
    sql = _SELECT[connection.vendor].replace("{condition}", condition)
    with connection.wrap_database_errors:
        if connection.vendor == "sqlite":
            with closing(connection.connection.execute(sql.replace("%s", "?"), params)) as found:
                yield from found
        else:
            with connection.connection.cursor() as cursor:
                yield from cursor.stream(sql, params, size=_at_once())


def _at_once() -> int:
    """How many rows PostgreSQL's library hands over at a time; older ones (before 17) know only one."""
    from psycopg import capabilities

    return 100 if capabilities.has_stream_chunked() else 1


_OF_ROW = (
    "(SELECT r.value FROM shared_state_rowrecord AS r WHERE r.stream_id = e.stream_id "
    'AND r.type = e.type AND r.key = e.key AND r.version = e."offset")'
)
"""What an event holds that has left its value to its row; looked for only if it has none."""


def _select(time: str, source: str, key: str, text: str) -> str:
    return (
        f'SELECT "offset", {time}, {source}(type, operation, writer, wake, run, tool_call){text}, '  # noqa: S608
        f"{key}{text}, COALESCE(value, {_OF_ROW}){text}, old{text} FROM shared_state_eventrecord AS e "
        'WHERE stream_id = %s AND "offset" > %s AND "offset" < %s {condition}ORDER BY "offset" LIMIT %s'
    )


_SELECT = {
    # Both drivers would make a datetime of the column itself, in Python and for each event.
    "sqlite": _select("timestamp || ''", "json_array", "json_quote(key)", ""),
    "postgresql": _select(
        "(extract(epoch FROM timestamp) * 1000000)::bigint", "json_build_array", "to_json(key)", "::text"
    ),
}
