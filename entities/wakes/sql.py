"""What a worker asks and writes for each claim, by hand: its hottest statements.

A worker asks each time something happened anywhere. The ORM takes a millisecond to say these statements, the
database some 40 microseconds to answer them. Measured in `tests/benchmarks/bench_claim.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from entities.models import Entity, Timer, Wake
from shared_state.api import database, moment

_WAKE, _ENTITY, _TIMER = Wake._meta.db_table, Entity._meta.db_table, Timer._meta.db_table

# A wake that was begun (and put off, or cut off) goes before the others of its entity, however long it waits
# for its next attempt: what happened first is handled first.
_CLAIMABLE = (
    f"FROM {_WAKE} w JOIN {_ENTITY} e ON e.id = w.entity_id "  # noqa: S608  names are ours, here and below
    f"WHERE w.state = '{Wake.State.PENDING}' AND e.lease_expires_at IS NULL "
    f"AND e.state NOT IN ('{Entity.State.STOPPED}', '{Entity.State.KILLED}', '{Entity.State.PAUSED}') "
    f"AND NOT EXISTS (SELECT 1 FROM {_WAKE} b WHERE b.entity_id = w.entity_id "
    f"AND b.state = '{Wake.State.PENDING}' AND b.number IS NOT NULL "
    "AND (w.number IS NULL OR b.number < w.number))"
)
_DUE = f"SELECT w.id {_CLAIMABLE} AND w.due_at <= %s ORDER BY w.due_at, w.id LIMIT %s"
_NEXT = (
    f"SELECT (SELECT min(t.due_at) FROM {_TIMER} t), "  # noqa: S608
    f"(SELECT w.due_at {_CLAIMABLE} ORDER BY w.due_at LIMIT 1)"
)
_WAKE_COLUMNS = ("number", "state", "attempts", "epoch", "claimed_at", "to_offset")
_ENTITY_COLUMNS = ("wake_count", "lease_owner", "lease_expires_at", "state", "last_activity_at")


def next_timer_and_wake() -> tuple[datetime | None, datetime | None]:
    """When the next timer will be due, and the next wake of an entity that nobody holds."""
    with database.connection().cursor() as cursor:
        cursor.execute(_NEXT)
        timer, wake = cursor.fetchone()
    return moment(timer) if timer else None, moment(wake) if wake else None


def due_wakes(now: datetime, limit: int) -> list[int]:
    """Due wakes of entities that nobody holds, the longest due first.

    They and their entities are locked; those that another worker is claiming are passed over.
    """
    sql = f"{_DUE} FOR UPDATE OF w, e SKIP LOCKED" if database.connection().vendor == "postgresql" else _DUE
    with database.connection().cursor() as cursor:
        cursor.execute(sql, [_parameter(now), limit])
        return [ident for (ident,) in cursor.fetchall()]


def store(wakes: Sequence[Wake]) -> None:
    """Write what a claim has changed in wakes and their entities."""
    with database.connection().cursor() as cursor:
        cursor.executemany(*_update(_WAKE, _WAKE_COLUMNS, wakes))
        cursor.executemany(*_update(_ENTITY, _ENTITY_COLUMNS, [wake.entity for wake in wakes]))


def _update(table: str, columns: Sequence[str], changed: Iterable[Any]) -> tuple[str, list[list[Any]]]:
    values = [[_parameter(getattr(one, name)) for name in (*columns, "pk")] for one in changed]
    return f"UPDATE {table} SET {', '.join(f'{name} = %s' for name in columns)} WHERE id = %s", values  # noqa: S608


def _parameter(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return database.connection().ops.adapt_datetimefield_value(value)
