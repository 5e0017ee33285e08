"""The few statements that are written by hand, because the ORM's are several times slower.

Everything here takes and returns plain tuples in the column order of `EVENT_COLUMNS`, `ROW_COLUMNS` and
`STREAM_COLUMNS`; a row that was read can be written again as it is. One class for each database; `dialect()`
chooses. What fails is raised as Django's `DatabaseError`. Measured in `tests/benchmarks/bench_append.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from shared_state.core import database
from shared_state.core.types import Event, Provenance, Row

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

Values = tuple[Any, ...]
RowKey = tuple[int, str, str]
ClientKey = tuple[int, str]


class Dialect(Protocol):
    """What the write_set needs of a database."""

    def streams(self, ids: Sequence[int]) -> list[Values]:
        """Read streams, locked in order of id: nobody else changes them until the transaction ends."""
        ...

    def rows(self, keys: Sequence[RowKey]) -> list[Values]:
        """Read rows by stream, type and key."""
        ...

    def repeated(self, keys: Sequence[ClientKey]) -> list[Values]:
        """Read the events that were appended with these client keys."""
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

    def time(self, moment: datetime) -> Any:
        """A moment as a parameter."""
        ...


class SqliteDialect:
    """SQLite: the driver's own connection, without Django's wrapper around each call.

    Keys travel as one JSON array: `(a, b, c) IN (VALUES …)` would scan the table, and a statement whose text
    never changes is compiled once.
    """

    def _execute(self, sql: str, keys: Sequence[Any]) -> list[Values]:
        connection = database.connection()
        connection.ensure_connection()
        with connection.wrap_database_errors:
            found = connection.connection.execute(sql, (orjson.dumps(keys).decode(),))
            return found.fetchall()  # type: ignore[no-any-return]

    def _each(self, sql: str, rows: Sequence[Values]) -> None:
        connection = database.connection()
        with connection.wrap_database_errors:
            connection.connection.executemany(sql, rows)

    def streams(self, ids: Sequence[int]) -> list[Values]:
        # BEGIN IMMEDIATE has locked the whole file by now.
        return self._execute(_SQLITE_STREAMS, ids)

    def rows(self, keys: Sequence[RowKey]) -> list[Values]:
        return self._execute(_SQLITE_ROWS, keys)

    def repeated(self, keys: Sequence[ClientKey]) -> list[Values]:
        return self._execute(_SQLITE_REPEATED, keys)

    def write(
        self,
        events: Sequence[Values],
        rows: Sequence[Values],
        gone: Sequence[RowKey],
        heads: Sequence[tuple[int, int]],
    ) -> None:
        self._each(_SQLITE_INSERT_EVENT, events)
        if rows:
            self._each(_SQLITE_PUT_ROW, rows)
        if gone:
            self._each(_SQLITE_DELETE_ROW, gone)
        turned = [(head, stream) for stream, head in heads]
        self._each("UPDATE shared_state_stream SET head = ? WHERE id = ?", turned)

    def time(self, moment: datetime) -> Any:
        return str(moment.astimezone(UTC).replace(tzinfo=None))


class PostgresDialect:
    """PostgreSQL: one statement for a whole batch, fed by `unnest`, so that round trips do not add up."""

    def _execute(self, sql: str, params: Sequence[Any]) -> list[Values]:
        with database.connection().cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall()  # type: ignore[no-any-return]

    def streams(self, ids: Sequence[int]) -> list[Values]:
        return self._execute(_PG_STREAMS, [list(ids)])

    def rows(self, keys: Sequence[RowKey]) -> list[Values]:
        return self._execute(_PG_ROWS, _turned(keys))

    def repeated(self, keys: Sequence[ClientKey]) -> list[Values]:
        return self._execute(_PG_REPEATED, _turned(keys))

    def write(
        self,
        events: Sequence[Values],
        rows: Sequence[Values],
        gone: Sequence[RowKey],
        heads: Sequence[tuple[int, int]],
    ) -> None:
        parts, params = [_PG_INSERT_EVENTS], _turned(events)
        if rows:
            parts.append(_PG_PUT_ROWS)
            params += _turned(rows)
        if gone:
            parts.append(_PG_DELETE_ROWS)
            params += _turned(gone)
        steps = ", ".join(f"part{number} AS ({part})" for number, part in enumerate(parts))
        with database.connection().cursor() as cursor:
            cursor.execute(f"WITH {steps} {_PG_SET_HEADS}", [*params, *_turned(heads)])

    def time(self, moment: datetime) -> Any:
        return moment


def _quoted(columns: Iterable[str], table: str = "") -> str:
    return ", ".join(f'{table}"{column}"' for column in columns)


def _turned(rows: Sequence[Values]) -> list[Any]:
    """Rows as columns: one array for each."""
    return [list(column) for column in zip(*rows, strict=True)]


_EVENTS, _ROWS, _STREAMS = "shared_state_eventrecord", "shared_state_rowrecord", "shared_state_stream"
_UPSERT = "ON CONFLICT (stream_id, type, key) DO UPDATE SET " + ", ".join(
    f'"{column}" = excluded."{column}"'
    for column in ROW_COLUMNS
    if column not in {"stream_id", "type", "key"}
)

# CROSS JOIN keeps SQLite from turning the join around, which would scan the table for each key.
_SQLITE_STREAMS = (
    f"SELECT {_quoted(STREAM_COLUMNS, 's.')} FROM json_each(?) AS k "  # noqa: S608  names are ours, here and below
    f"CROSS JOIN {_STREAMS} AS s ON s.id = k.value"
)
_SQLITE_ROWS = (
    f"SELECT {_quoted(ROW_COLUMNS, 'r.')} FROM json_each(?) AS k CROSS JOIN {_ROWS} AS r "  # noqa: S608
    "ON r.stream_id = k.value ->> 0 AND r.type = k.value ->> 1 AND r.key = k.value ->> 2"
)
_SQLITE_REPEATED = (
    f"SELECT {_quoted(EVENT_COLUMNS, 'e.')} FROM json_each(?) AS k CROSS JOIN {_EVENTS} AS e "  # noqa: S608
    "ON e.stream_id = k.value ->> 0 AND e.client_key = k.value ->> 1 AND e.client_key IS NOT NULL"
)
_SQLITE_INSERT_EVENT = (
    f"INSERT INTO {_EVENTS} ({_quoted(EVENT_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"
)
_SQLITE_PUT_ROW = (
    f"INSERT INTO {_ROWS} ({_quoted(ROW_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(ROW_COLUMNS))}) {_UPSERT}"
)
_SQLITE_DELETE_ROW = f"DELETE FROM {_ROWS} WHERE stream_id = ? AND type = ? AND key = ?"  # noqa: S608

# NO KEY: what refers to a stream (a wake, a grant) may be written by others meanwhile.
_PG_STREAMS = (
    f"SELECT {_quoted(STREAM_COLUMNS)} FROM {_STREAMS} "  # noqa: S608
    "WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
)
# Written as a range in the order of the unique index, so that it is the only one to use. For `key = k.key`
# the planner takes the index of (stream, type, created) just as gladly while it believes a type to have few
# rows, as it does in a new stream, and then walks through all of them for each key.
_PG_PLACES = (
    "unnest(%s::bigint[], %s::text[], %s::text[]) AS k(stream_id, type, key) CROSS JOIN LATERAL "  # noqa: S608
    f"(SELECT * FROM {_ROWS} AS o WHERE o.stream_id = k.stream_id AND o.type = k.type "
    "AND o.key >= k.key AND o.key <= k.key ORDER BY o.key LIMIT 1) AS r"
)
_PG_ROWS = f"SELECT {_quoted(ROW_COLUMNS, 'r.')} FROM {_PG_PLACES}"  # noqa: S608
_PG_REPEATED = (
    f"SELECT {_quoted(EVENT_COLUMNS, 'e.')} "  # noqa: S608
    "FROM unnest(%s::bigint[], %s::text[]) AS k(stream_id, client_key) "
    f"JOIN {_EVENTS} AS e USING (stream_id, client_key) WHERE e.client_key IS NOT NULL"
)
_PG_TYPES = {
    "stream_id": "bigint", "offset": "bigint", "created": "bigint", "version": "bigint",
    "timestamp": "timestamptz", "created_at": "timestamptz", "updated_at": "timestamptz",
}  # fmt: skip


def _pg_unnested(columns: Sequence[str]) -> str:
    """`SELECT` over unnested arrays; JSON travels as text, since arrays of jsonb cost an adapter each."""
    chosen = ", ".join(f'"{c}"::jsonb' if c in {"value", "old"} else f'"{c}"' for c in columns)
    arrays = ", ".join(f"%s::{_PG_TYPES.get(column, 'text')}[]" for column in columns)
    return f"SELECT {chosen} FROM unnest({arrays}) AS t({_quoted(columns)})"  # noqa: S608


_PG_INSERT_EVENTS = f"INSERT INTO {_EVENTS} ({_quoted(EVENT_COLUMNS)}) {_pg_unnested(EVENT_COLUMNS)}"
_PG_PUT_ROWS = f"INSERT INTO {_ROWS} ({_quoted(ROW_COLUMNS)}) {_pg_unnested(ROW_COLUMNS)} {_UPSERT}"
_PG_DELETE_ROWS = f"DELETE FROM {_ROWS} AS gone USING {_PG_PLACES} WHERE gone.id = r.id"  # noqa: S608
_PG_SET_HEADS = (
    f"UPDATE {_STREAMS} AS s SET head = h.head "  # noqa: S608
    "FROM unnest(%s::bigint[], %s::bigint[]) AS h(id, head) WHERE s.id = h.id"
)

_DIALECTS: dict[str, type[SqliteDialect] | type[PostgresDialect]] = {
    "sqlite": SqliteDialect,
    "postgresql": PostgresDialect,
}


def moment(value: Any) -> datetime:
    """A time as either driver reads it. SQLite says times in UTC, as text that does not name the zone."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
    vendor = database.connection().vendor
    found = _DIALECTS.get(vendor)
    if found is None:
        raise NotImplementedError(f"{vendor} is not supported; use SQLite or PostgreSQL.")
    return found()
