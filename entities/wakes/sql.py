"""What a worker asks and writes for each claim, by hand: its hottest statements.

A worker asks each time something happened anywhere. The ORM takes a millisecond to say these statements, the
database some 40 microseconds to answer them. Measured in `tests/benchmarks/bench_claim.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from entities.models import Entity, Timer, Wake
from shared_state.api import database, moment

_WAKE, _ENTITY, _TIMER = Wake._meta.db_table, Entity._meta.db_table, Timer._meta.db_table

AT_REST_FOR_GOOD = (Entity.State.STOPPED, Entity.State.KILLED, Entity.State.PAUSED)
"""States in which nothing is claimed, whatever is due."""

# A wake that was begun (and put off, or cut off) goes before the others of its entity, however long it waits
# for its next attempt: what happened first is handled first.
_CLAIMABLE = (
    f"FROM {_WAKE} w JOIN {_ENTITY} e ON e.id = w.entity_id "  # noqa: S608  names are ours, here and below
    f"WHERE w.state = '{Wake.State.PENDING}' AND e.lease_expires_at IS NULL "
    f"AND e.state NOT IN ({', '.join(repr(str(state)) for state in AT_REST_FOR_GOOD)}) "
    f"AND NOT EXISTS (SELECT 1 FROM {_WAKE} b WHERE b.entity_id = w.entity_id "
    f"AND b.state = '{Wake.State.PENDING}' AND b.number IS NOT NULL "
    "AND (w.number IS NULL OR b.number < w.number))"
)
_DUE = (
    f"SELECT w.id, w.entity_id, e.stream_id {_CLAIMABLE} AND w.due_at <= %s ORDER BY w.due_at, w.id LIMIT %s"
)
_NEXT = (
    f"SELECT (SELECT min(t.due_at) FROM {_TIMER} t), "  # noqa: S608
    f"(SELECT w.due_at {_CLAIMABLE} ORDER BY w.due_at LIMIT 1)"
)
_LOST = f"SELECT e.id, e.stream_id FROM {_ENTITY} e WHERE e.lease_expires_at <= %s"  # noqa: S608
_HELD = (
    f"SELECT e.id, e.stream_id FROM {_ENTITY} e WHERE e.lease_expires_at IS NOT NULL AND e.lease_owner = %s"  # noqa: S608
)
_TIMERS = (
    f"SELECT t.id, e.stream_id FROM {_TIMER} t JOIN {_ENTITY} e ON e.id = t.entity_id "  # noqa: S608
    "WHERE t.due_at <= %s ORDER BY t.due_at, t.id LIMIT %s"
)


def next_timer_and_wake() -> tuple[datetime | None, datetime | None]:
    """When the next timer will be due, and the next wake of an entity that nobody holds."""
    with database.connection().cursor() as cursor:
        cursor.execute(_NEXT)
        timer, wake = cursor.fetchone()
    return moment(timer) if timer else None, moment(wake) if wake else None


def due_wakes(now: datetime, limit: int) -> list[tuple[int, int, int]]:
    """Due wakes of entities that nobody holds, with entity and stream, the longest due first.

    They are locked; those that another worker is claiming are passed over.
    """
    return _free(_DUE, "w", [_parameter(now), limit])


def due_timers(now: datetime, limit: int) -> list[tuple[int, int]]:
    """Due timers with the stream of their entity, locked as `due_wakes` does it."""
    return _free(_TIMERS, "t", [_parameter(now), limit])


def lost_leases(now: datetime, owners: Sequence[str]) -> list[tuple[int, int]]:
    """Entities, with their streams, whose lease has ended or is one of these owners'. Nothing is locked."""
    found = _answer(_LOST, [_parameter(now)])
    for owner in owners:
        found += _answer(_HELD, [owner])
    return found


def _free(sql: str, table: str, parameters: Sequence[Any]) -> list[Any]:
    if database.connection().vendor == "postgresql":
        sql = f"{sql} FOR UPDATE OF {table} SKIP LOCKED"
    return _answer(sql, parameters)


def _answer(sql: str, parameters: Sequence[Any]) -> list[Any]:
    with database.connection().cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _parameter(value: datetime) -> Any:
    return database.connection().ops.adapt_datetimefield_value(value)
