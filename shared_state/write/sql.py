"""What a write set asks and writes, by hand: the ORM's statements are several times slower.

Everything here takes and returns plain tuples in the column order of `EVENT_COLUMNS`, `ROW_COLUMNS` and
`STREAM_COLUMNS`; a row that was read can be written again as it is. One class for each database; `dialect()`
chooses. Measured in `tests/benchmarks/bench_append.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import orjson

from shared_state.core.types import Event, Provenance, Row
from shared_state.write.statements import (
    Values,
    array,
    arrays,
    json_array,
    moment,
    on_postgres,
    postgres_fetch,
    postgres_run,
    sqlite_each,
    sqlite_fetch,
)

EVENT_COLUMNS = (
    "stream_id", "offset", "type", "key", "operation", "value", "old",
    "timestamp", "writer", "wake", "run", "tool_call", "client_key",
)  # fmt: skip
ROW_COLUMNS = (
    "stream_id", "type", "key", "value", "created", "version",
    "created_at", "updated_at", "writer", "wake", "run", "tool_call",
)  # fmt: skip
STREAM_COLUMNS = (
    "id", "path", "kind", "owner", "root_id", "head", "epoch", "closed", "observed", "schema",
)  # fmt: skip
MADE_COLUMNS = (*STREAM_COLUMNS, "created_at")
CHANGED_COLUMNS = ("id", "epoch", "closed", "observed", "schema")

RowKey = tuple[int, str, str]
RowRange = tuple[int, str, int, int]
"""A stream, a type, and from which offset to which (exclusive) the rows came to be."""
ClientKey = tuple[int, str]


class Dialect(Protocol):
    """What the write_set needs of a database."""

    def streams(self, ids: Sequence[int], *, wait: bool = True) -> list[Values]:
        """Read streams, locked in order of id: nobody else changes them until the transaction ends.

        Without `wait`, those that somebody else has locked are left out.
        """
        ...

    def hurry(self, ids: Sequence[int], lock_timeout: float) -> list[Values]:
        """`streams` for who cannot wait long, now and in the rest of the transaction.

        If a lock takes longer than `lock_timeout`, in seconds, PostgreSQL raises `OperationalError` (55P03).
        """
        ...

    def wait_for_locks(self, lock_timeout: float | None) -> None:
        """How long locks are waited for in the rest of the transaction, in seconds; `None`: for ever."""
        ...

    def look(self, ids: Sequence[int]) -> list[Values]:
        """Read streams as they are committed, not locked."""
        ...

    def there(self, stream: int) -> bool:
        """Whether there is a stream, locked or not."""
        ...

    def paths(self, paths: Sequence[str], lock_timeout: float | None = None) -> list[Values]:
        """Pairs of path and id of the streams that there are, not locked. With `lock_timeout` as `hurry`."""
        ...

    def rows(self, keys: Sequence[RowKey]) -> list[Values]:
        """Read rows by stream, type and key."""
        ...

    def between(self, ranges: Sequence[RowRange]) -> list[Values]:
        """Read rows by stream, type and when they came to be."""
        ...

    def repeated(self, keys: Sequence[ClientKey]) -> list[Values]:
        """Read the events that were appended with these client keys."""
        ...

    def make(self, streams: Sequence[Values]) -> None:
        """Insert streams, tuples of `MADE_COLUMNS`. Raises `IntegrityError` for a path that is taken."""
        ...

    def change(self, streams: Sequence[Values]) -> None:
        """Update streams, tuples of `CHANGED_COLUMNS`."""
        ...

    def write(
        self,
        events: Sequence[Values],
        rows: Sequence[Values],
        gone: Sequence[RowKey],
        heads: Sequence[tuple[int, int]],
    ) -> None:
        """Append events; insert or replace rows; delete rows; set heads (pairs of stream and head)."""
        ...


class SqliteDialect:
    """SQLite. `(a, b, c) IN (VALUES …)` would scan the table, so keys are joined."""

    def streams(self, ids: Sequence[int], *, wait: bool = True) -> list[Values]:
        # BEGIN IMMEDIATE has locked the whole file by now.
        return sqlite_fetch(_SQLITE_STREAMS, (json_array(ids),))

    def hurry(self, ids: Sequence[int], lock_timeout: float) -> list[Values]:
        return self.streams(ids)

    def wait_for_locks(self, lock_timeout: float | None) -> None:
        pass

    def look(self, ids: Sequence[int]) -> list[Values]:
        return sqlite_fetch(_SQLITE_STREAMS, (json_array(ids),))

    def there(self, stream: int) -> bool:
        return bool(sqlite_fetch(f"SELECT 1 FROM {STREAMS} WHERE id = ?", (stream,)))  # noqa: S608

    def paths(self, paths: Sequence[str], lock_timeout: float | None = None) -> list[Values]:
        return sqlite_fetch(_SQLITE_PATHS, (json_array(paths),))

    def rows(self, keys: Sequence[RowKey]) -> list[Values]:
        return sqlite_fetch(_SQLITE_ROWS, (json_array(keys),))

    def between(self, ranges: Sequence[RowRange]) -> list[Values]:
        return sqlite_fetch(_SQLITE_BETWEEN, (json_array(ranges),))

    def repeated(self, keys: Sequence[ClientKey]) -> list[Values]:
        return sqlite_fetch(_SQLITE_REPEATED, (json_array(keys),))

    def make(self, streams: Sequence[Values]) -> None:
        sqlite_each(_SQLITE_MAKE, streams)

    def change(self, streams: Sequence[Values]) -> None:
        sqlite_each(_SQLITE_CHANGE, [(*values, ident) for ident, *values in streams])

    def write(
        self,
        events: Sequence[Values],
        rows: Sequence[Values],
        gone: Sequence[RowKey],
        heads: Sequence[tuple[int, int]],
    ) -> None:
        sqlite_each(_SQLITE_INSERT_EVENT, events)
        if rows:
            sqlite_each(_SQLITE_PUT_ROW, rows)
        if gone:
            sqlite_each(_SQLITE_DELETE_ROW, gone)
        turned = [(head, stream) for stream, head in heads]
        sqlite_each(f"UPDATE {STREAMS} SET head = ? WHERE id = ?", turned)  # noqa: S608


class PostgresDialect:
    """PostgreSQL: one statement for a whole batch, fed by `unnest`, so that round trips do not add up."""

    def streams(self, ids: Sequence[int], *, wait: bool = True) -> list[Values]:
        return postgres_fetch(_PG_STREAMS if wait else _PG_FREE_STREAMS, [array(ids)])

    def hurry(self, ids: Sequence[int], lock_timeout: float) -> list[Values]:
        return postgres_fetch(_PG_HURRY, [array(ids), _milliseconds(lock_timeout)])

    def wait_for_locks(self, lock_timeout: float | None) -> None:
        postgres_run(f"SELECT {_PG_HURRIES}", [_milliseconds(lock_timeout or 0)])

    def look(self, ids: Sequence[int]) -> list[Values]:
        return postgres_fetch(_PG_LOOK, [array(ids)])

    def there(self, stream: int) -> bool:
        return bool(postgres_fetch(f"SELECT 1 FROM {STREAMS} WHERE id = %s", (stream,)))  # noqa: S608

    def paths(self, paths: Sequence[str], lock_timeout: float | None = None) -> list[Values]:
        if lock_timeout is not None:
            hurried = f"{_PG_PATHS} AND {_PG_HURRIES}"
            return postgres_fetch(hurried, [array(paths), _milliseconds(lock_timeout)])
        return postgres_fetch(_PG_PATHS, [array(paths)])

    def rows(self, keys: Sequence[RowKey]) -> list[Values]:
        return postgres_fetch(_PG_ROWS, arrays(keys))

    def between(self, ranges: Sequence[RowRange]) -> list[Values]:
        return postgres_fetch(_PG_BETWEEN, arrays(ranges))

    def repeated(self, keys: Sequence[ClientKey]) -> list[Values]:
        return postgres_fetch(_PG_REPEATED, arrays(keys))

    def make(self, streams: Sequence[Values]) -> None:
        postgres_run(_PG_MAKE, arrays(streams))

    def change(self, streams: Sequence[Values]) -> None:
        postgres_run(_PG_CHANGE, arrays(streams))

    def write(
        self,
        events: Sequence[Values],
        rows: Sequence[Values],
        gone: Sequence[RowKey],
        heads: Sequence[tuple[int, int]],
    ) -> None:
        parts, params = [_PG_INSERT_EVENTS], arrays(events)
        if rows:
            parts.append(_PG_PUT_ROWS)
            params += arrays(rows)
        if gone:
            parts.append(_PG_DELETE_ROWS)
            params += arrays(gone)
        steps = ", ".join(f"part{number} AS ({part})" for number, part in enumerate(parts))
        postgres_run(f"WITH {steps} {_PG_SET_HEADS}", [*params, *arrays(heads)])


def _milliseconds(lock_timeout: float) -> str:
    return f"{round(lock_timeout * 1000)}ms"


def quoted(columns: Iterable[str], table: str = "") -> str:
    """Names of columns as SQL, each of a table if it is named."""
    return ", ".join(f'{table}"{column}"' for column in columns)


EVENTS, ROWS, STREAMS = "shared_state_eventrecord", "shared_state_rowrecord", "shared_state_stream"
_UPSERT = "ON CONFLICT (stream_id, type, key) DO UPDATE SET " + ", ".join(
    f'"{column}" = excluded."{column}"'
    for column in ROW_COLUMNS
    if column not in {"stream_id", "type", "key"}
)

# CROSS JOIN keeps SQLite from turning the join around, which would scan the table for each key.
_SQLITE_STREAMS = (
    f"SELECT {quoted(STREAM_COLUMNS, 's.')} FROM json_each(?) AS k "  # noqa: S608  names are ours, here and below
    f"CROSS JOIN {STREAMS} AS s ON s.id = k.value"
)
_SQLITE_PATHS = f"SELECT s.path, s.id FROM json_each(?) AS k CROSS JOIN {STREAMS} AS s ON s.path = k.value"  # noqa: S608
_SQLITE_BETWEEN = (
    f"SELECT {quoted(ROW_COLUMNS, 'r.')} FROM json_each(?) AS k CROSS JOIN {ROWS} AS r "  # noqa: S608
    "ON r.stream_id = k.value ->> 0 AND r.type = k.value ->> 1 "
    "AND r.created >= k.value ->> 2 AND r.created < k.value ->> 3"
)
_SQLITE_MAKE = f"INSERT INTO {STREAMS} ({quoted(MADE_COLUMNS)}) VALUES ({', '.join('?' * len(MADE_COLUMNS))})"  # noqa: S608
_SQLITE_CHANGE = (
    f"UPDATE {STREAMS} SET {', '.join(f'{name} = ?' for name in CHANGED_COLUMNS[1:])} WHERE id = ?"  # noqa: S608
)
_SQLITE_ROWS = (
    f"SELECT {quoted(ROW_COLUMNS, 'r.')} FROM json_each(?) AS k CROSS JOIN {ROWS} AS r "  # noqa: S608
    "ON r.stream_id = k.value ->> 0 AND r.type = k.value ->> 1 AND r.key = k.value ->> 2"
)
_SQLITE_REPEATED = (
    f"SELECT {quoted(EVENT_COLUMNS, 'e.')} FROM json_each(?) AS k CROSS JOIN {EVENTS} AS e "  # noqa: S608
    "ON e.stream_id = k.value ->> 0 AND e.client_key = k.value ->> 1 AND e.client_key IS NOT NULL"
)
_SQLITE_INSERT_EVENT = (
    f"INSERT INTO {EVENTS} ({quoted(EVENT_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"
)
_SQLITE_PUT_ROW = (
    f"INSERT INTO {ROWS} ({quoted(ROW_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(ROW_COLUMNS))}) {_UPSERT}"
)
_SQLITE_DELETE_ROW = f"DELETE FROM {ROWS} WHERE stream_id = ? AND type = ? AND key = ?"  # noqa: S608

# As text: the driver would read it, for each stream that is locked, and it would be written again.
_PG_STREAM = quoted(STREAM_COLUMNS).replace('"schema"', '"schema"::text')
_PG_LOOK = f"SELECT {_PG_STREAM} FROM {STREAMS} WHERE id = ANY(%s::bigint[])"  # noqa: S608
# NO KEY: what refers to a stream (a wake, a grant) may be written by others meanwhile.
_PG_STREAMS = (
    f"SELECT {_PG_STREAM} FROM {STREAMS} "  # noqa: S608
    "WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE"
)
# Said with what is asked first, and before it: a statement of its own would cost each batch a round trip.
_PG_HURRIES = "(SELECT set_config('lock_timeout', %s, true)) <> ''"
_PG_HURRY = (
    f"SELECT {_PG_STREAM} FROM {STREAMS} "  # noqa: S608
    f"WHERE id = ANY(%s::bigint[]) AND {_PG_HURRIES} ORDER BY id FOR NO KEY UPDATE"
)
_PG_FREE_STREAMS = f"{_PG_STREAMS} SKIP LOCKED"
_PG_PATHS = f"SELECT path, id FROM {STREAMS} WHERE path = ANY(%s::text[])"  # noqa: S608
# The first row from a place on, in the order of the unique index, if it is the one: so that is the only index
# to use. For columns that equal something the planner takes that of (stream, type, created) just as gladly
# while it believes a type to have few rows, as it does until it has looked, and then walks through all of
# them for each key: 64 keys among 8,000 rows took 65 ms, and take 0.2.
_PG_PLACES = (
    "unnest(%s::bigint[], %s::text[], %s::text[]) AS k(stream_id, type, key) CROSS JOIN LATERAL "  # noqa: S608
    f"(SELECT * FROM (SELECT * FROM {ROWS} AS o "
    "WHERE (o.stream_id, o.type, o.key) >= (k.stream_id, k.type, k.key) "
    "ORDER BY o.stream_id, o.type, o.key LIMIT 1) AS n "
    "WHERE n.stream_id = k.stream_id AND n.type = k.type AND n.key = k.key) AS r"
)
_PG_ROWS = f"SELECT {quoted(ROW_COLUMNS, 'r.')} FROM {_PG_PLACES}"  # noqa: S608
_PG_REPEATED = (
    f"SELECT {quoted(EVENT_COLUMNS, 'e.')} "  # noqa: S608
    "FROM unnest(%s::bigint[], %s::text[]) AS k(stream_id, client_key) "
    f"JOIN {EVENTS} AS e USING (stream_id, client_key) WHERE e.client_key IS NOT NULL"
)
_PG_BETWEEN = (
    f"SELECT {quoted(ROW_COLUMNS, 'r.')} "  # noqa: S608
    "FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[]) AS k(stream_id, type, first, last) "
    f"CROSS JOIN LATERAL (SELECT * FROM {ROWS} AS o WHERE o.stream_id = k.stream_id AND o.type = k.type "
    "AND o.created >= k.first AND o.created < k.last ORDER BY o.created) AS r"
)
_PG_TYPES = {
    "id": "bigint", "root_id": "bigint", "head": "bigint", "epoch": "bigint",
    "closed": "boolean", "observed": "boolean",
    "stream_id": "bigint", "offset": "bigint", "created": "bigint", "version": "bigint",
    "timestamp": "timestamptz", "created_at": "timestamptz", "updated_at": "timestamptz",
}  # fmt: skip


def _pg_unnested(columns: Sequence[str]) -> str:
    """`SELECT` over unnested arrays; JSON travels as text, since arrays of jsonb cost an adapter each."""
    json = {"value": "::jsonb", "old": "::jsonb", "schema": "::json"}
    chosen = ", ".join(f'"{column}"{json.get(column, "")}' for column in columns)
    arrays = ", ".join(f"%s::{_PG_TYPES.get(column, 'text')}[]" for column in columns)
    return f"SELECT {chosen} FROM unnest({arrays}) AS t({quoted(columns)})"  # noqa: S608


_PG_INSERT_EVENTS = f"INSERT INTO {EVENTS} ({quoted(EVENT_COLUMNS)}) {_pg_unnested(EVENT_COLUMNS)}"
_PG_PUT_ROWS = f"INSERT INTO {ROWS} ({quoted(ROW_COLUMNS)}) {_pg_unnested(ROW_COLUMNS)} {_UPSERT}"
_PG_DELETE_ROWS = f"DELETE FROM {ROWS} AS gone USING {_PG_PLACES} WHERE gone.id = r.id"  # noqa: S608
_PG_MAKE = f"INSERT INTO {STREAMS} ({quoted(MADE_COLUMNS)}) {_pg_unnested(MADE_COLUMNS)} ORDER BY path"
_PG_CHANGE = (
    f"UPDATE {STREAMS} AS s SET "  # noqa: S608
    f"{', '.join(f'{name} = c.{name}' for name in CHANGED_COLUMNS[1:])} "
    f"FROM ({_pg_unnested(CHANGED_COLUMNS)}) AS c WHERE s.id = c.id"
)
_PG_SET_HEADS = (
    f"UPDATE {STREAMS} AS s SET head = h.head "  # noqa: S608
    "FROM unnest(%s::bigint[], %s::bigint[]) AS h(id, head) WHERE s.id = h.id"
)


def as_event(v: Values) -> Event:
    """The event in a tuple of `EVENT_COLUMNS`."""
    old = None if v[6] is None else orjson.loads(v[6])
    return Event(v[0], v[1], v[2], v[3], v[4], orjson.loads(v[5]), moment(v[7]), Provenance(*v[8:12]), old)


def as_row(v: Values) -> Row:
    """The row in a tuple of `ROW_COLUMNS`."""
    return Row(
        v[0], v[1], v[2], orjson.loads(v[3]), v[4], v[5], moment(v[6]), moment(v[7]), Provenance(*v[8:12])
    )


def dialect() -> Dialect:
    """The statements for the configured database. Raises `NotImplementedError` for one we do not know."""
    return PostgresDialect() if on_postgres() else SqliteDialect()
