"""What time it is, for all processes of a database: due times and leases are compared between machines.

On PostgreSQL the server's clock is everybody's. It is asked when a connection is opened and by the writer
every few seconds; between two answers this process counts on with its monotonic clock, which nobody sets. So
a machine whose clock is wrong is none the worse for it, and no unit has to ask for the time. With SQLite all
processes are on one machine, whose clock it is.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils import timezone

from shared_state.core import database

FRESH_SECONDS = 10.0
"""How long an answer is counted on from."""


class _Answer(NamedTuple):
    """The server's time, and this process's monotonic clock in the middle of the question."""

    moment: datetime
    at: float


_answer: _Answer | None = None


def now() -> datetime:
    """The time, UTC. Never waits and never asks: before the first connection it is this machine's."""
    known = _answer
    if known is None:
        return timezone.now()
    return known.moment + timedelta(seconds=time.monotonic() - known.at)


def compare() -> None:
    """Ask the server for the time, unless it was asked a moment ago. Not within a transaction.

    Uses this thread's connection, opened if need be. Raises `DatabaseError`.
    """
    connection = database.connection()
    if connection.vendor == "postgresql" and not _is_fresh():
        connection.ensure_connection()
        _ask(connection)


def forget() -> None:
    """Ask again at the next opportunity."""
    global _answer
    _answer = None


def _is_fresh() -> bool:
    return _answer is not None and time.monotonic() - _answer.at < FRESH_SECONDS


def _ask(connection: BaseDatabaseWrapper) -> None:
    global _answer
    before = time.monotonic()
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        (moment,) = cursor.execute("SELECT clock_timestamp()").fetchone()
    after = time.monotonic()
    _answer = _Answer(moment.astimezone(UTC), (before + after) / 2)


def _on_connection(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection.alias == database.alias() and connection.vendor == "postgresql" and not _is_fresh():
        _ask(connection)


def connect() -> None:
    """Listen for connections. Called once, when the app is ready."""
    connection_created.connect(_on_connection, dispatch_uid="shared_state.core.clock")
