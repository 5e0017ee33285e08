"""Statements by hand, on the driver's own cursor: keys and rows travel as arrays, whatever their number.

Django's cursor formats each statement anew and psycopg adapts each element of a list by itself; for a batch
that costs several times what the database needs to answer. Here a batch is one statement whose text never
changes, so that SQLite compiles it once and PostgreSQL prepares it once for each connection. What fails is
raised as Django's `DatabaseError`. Everything runs in the thread and transaction of its caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from django.db.backends.base.base import BaseDatabaseWrapper

from shared_state.conf import conf
from shared_state.core import database, reconnect

Values = tuple[Any, ...]


def on_postgres() -> bool:
    """Which of the two it is. Raises `NotImplementedError` for a database that we do not know."""
    vendor = database.connection().vendor
    if vendor not in ("sqlite", "postgresql"):
        raise NotImplementedError(f"{vendor} is not supported; use SQLite or PostgreSQL.")
    return vendor == "postgresql"


def sqlite_fetch(sql: str, parameters: Sequence[Any] = ()) -> list[Values]:
    """What SQLite answers."""
    connection = database.connection()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        _note(connection, sql)
        return connection.connection.execute(sql, parameters).fetchall()  # type: ignore[no-any-return]


def sqlite_each(sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Do a statement for each row."""
    connection = database.connection()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        _note(connection, sql)
        connection.connection.executemany(sql, rows)


def postgres_fetch(sql: str, parameters: Sequence[Any] = ()) -> list[Values]:
    """What PostgreSQL answers, prepared from the first time on."""
    return postgres_run(sql, parameters).fetchall()  # type: ignore[no-any-return]


def postgres_run(sql: str, parameters: Sequence[Any] = ()) -> Any:
    """A cursor that has done a statement, prepared from the first time on."""
    connection = database.connection()
    connection.ensure_connection()
    return reconnect.reading(connection, sql, lambda: _run(connection, sql, parameters))


def _run(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> Any:
    from psycopg import ClientCursor, Cursor
    from psycopg.types.datetime import TimestamptzLoader

    raw = connection.connection
    with connection.wrap_database_errors:
        if conf.prepare_statements and raw.prepare_threshold is None:
            raw.prepare_threshold = 5  # as psycopg has it; Django turns it off, for poolers between
        if connection.queries_logged:
            _note(connection, ClientCursor(raw).mogrify(sql, parameters))
        cursor = Cursor(raw)
        # The driver's own, in C: 64 agents are read in 0.3 ms, and in 0.9 with Django's, which is in Python.
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        return cursor.execute(sql, parameters, prepare=conf.prepare_statements)


def _note(connection: BaseDatabaseWrapper, sql: str) -> None:
    """Tell Django's log of queries, where somebody asked for it, what went past its cursor."""
    if connection.queries_logged:
        connection.queries_log.append({"sql": sql, "time": "0"})


def json_array(values: Sequence[Any]) -> str:
    """Keys for SQLite's `json_each`. A statement whose text never changes is compiled once."""
    return orjson.dumps(values).decode()


def array(values: Iterable[Any]) -> str:
    """An array for PostgreSQL, as the text that it reads: psycopg would adapt each element by itself."""
    return "{" + ",".join(map(_element, values)) + "}"


def arrays(rows: Sequence[Values]) -> list[str]:
    """Rows as columns: one array for each."""
    return [array(column) for column in zip(*rows, strict=True)]


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\\" in value or '"' in value:
            value = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{value}"'
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    return str(value)


def stamp(moment: datetime) -> Any:
    """A moment as a parameter: text on SQLite, as Django writes it there."""
    return moment if on_postgres() else sqlite_stamp(moment)


@lru_cache(maxsize=1024)  # a transaction says its own time for each of its records
def sqlite_stamp(moment: datetime) -> str:
    """A moment as Django writes it into SQLite."""
    return str(moment.astimezone(UTC).replace(tzinfo=None))


def moment(value: Any) -> datetime:
    """A time as either driver reads it. SQLite says times in UTC, as text that does not name the zone."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)
