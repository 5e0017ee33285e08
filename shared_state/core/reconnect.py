"""Connections that the server has ended: found when they are taken up, replaced, and a read done once more.

A pool hands out what it has; after a restart of PostgreSQL all of it is dead, and each would fail somebody.
So whoever takes one up looks whether the server has hung up meanwhile, which asks nothing of the server, and
where one is dead the others of the pool are checked too. One that dies later, under a statement, is replaced
as well, and the statement repeated if it reads and stands in no transaction. Nothing else is ever repeated
here: what was written may have been committed, and what a transaction has read is gone with it.

It holds for every thread, and for every PostgreSQL that Django connects to.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

log = structlog.get_logger(__name__)
T = TypeVar("T")

AWAY = (OperationalError, InterfaceError)
"""What is raised while a database cannot be reached, among other things."""
_replacing = threading.local()
_READS = ("SELECT", "(SELECT")


def replace(connection: BaseDatabaseWrapper) -> None:
    """Give up this thread's connection; where there is a pool, also those in it that died with it.

    The next statement opens another. Not within a transaction.
    """
    connection.close()
    pool = getattr(connection, "pool", None)
    if pool is not None and not pool.closed:
        pool.check()


def reading(connection: BaseDatabaseWrapper, sql: object, read: Callable[[], T]) -> T:
    """What `read` returns by one statement; it is called again, once, if that lost its connection.

    Not if the statement stands in a transaction, or may write. Raises what `read` raises.
    """
    try:
        return read()
    except AWAY as error:
        if not _repeatable(connection, sql):
            raise
        log.warning("connection_lost", error=str(error))
    replace(connection)
    connection.ensure_connection()
    return read()


def _repeatable(connection: BaseDatabaseWrapper, sql: object) -> bool:
    if connection.in_atomic_block or not connection.autocommit or connection.connection is None:
        return False
    return isinstance(sql, str) and sql.lstrip().startswith(_READS) and not connection.is_usable()


def _once_more(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """Around every statement of Django's cursors (an execute wrapper)."""
    connection, cursor = context["connection"], context["cursor"]
    first = connection.connection

    def read() -> Any:
        if connection.connection is not first:
            cursor.cursor = connection.create_cursor()
        return execute(sql, params, many, context)

    return reading(connection, sql, read)


def _has_spoken(connection: BaseDatabaseWrapper) -> bool:
    """Whether something waits to be read, though nothing was asked: mostly the end of the connection."""
    poll = select.poll()
    poll.register(connection.connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _on_connection(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection.vendor != "postgresql":
        return
    if _once_more not in connection.execute_wrappers:
        # The outermost: who adds one for a while takes the last away.
        connection.execute_wrappers.insert(0, _once_more)
    if _has_spoken(connection) and not connection.is_usable():
        if getattr(_replacing, "now", False):
            return  # who hangs up on the second one, too, will on every one: the statement says so
        log.warning("connection_was_dead")
        replace(connection)
        _replacing.now = True
        try:
            connection.connect()  # which comes here again
        finally:
            _replacing.now = False


def listen() -> None:
    """Look after connections. Called once, when the app is ready, before others use what is connected."""
    connection_created.connect(_on_connection, dispatch_uid="shared_state.core.reconnect")
