"""The one database that holds streams, and all that stands beside them: `SHARED_STATE["DATABASE"]`.

Users, sessions and a project's own tables may be in others. The models find their way by a router
(`shared_state.routers`); what is said by hand, and every transaction, asks here.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic

from shared_state.conf import conf


def alias() -> str:
    """Its name in `DATABASES`."""
    return conf.database


def connection() -> BaseDatabaseWrapper:
    """This thread's connection to it."""
    return connections[conf.database]


_OF_TABLES = "FROM {} WHERE tbl IN (SELECT value FROM json_each(%s))"


def forget_statistics(tables: Collection[str]) -> bool:
    """On SQLite: throw away what `ANALYZE` has found out about some tables. Whether there was anything.

    Without statistics it takes a table for large and goes by the indexes, for which all statements here are
    made. What was found out while a table was small would have it walk through that table when it is large.
    """
    used = connection()
    if used.vendor != "sqlite":
        return False
    named = [json.dumps([*tables])]
    with used.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE name IN ('sqlite_stat1', 'sqlite_stat4')")
        kept = [_OF_TABLES.format(name) for (name,) in cursor.fetchall()]
        if not any(cursor.execute(f"SELECT 1 {each} LIMIT 1", named).fetchone() for each in kept):
            return False
        with atomic():
            for each in kept:
                cursor.execute(f"DELETE {each}", named)
            # Others who are connected read statistics anew when the schema has changed, and not before.
            cursor.execute("CREATE TABLE shared_state_forgotten (name)")
            cursor.execute("DROP TABLE shared_state_forgotten")
        cursor.execute("PRAGMA writable_schema = RESET")  # has this connection read it anew, and no more
    return True


def atomic() -> Atomic:
    """A transaction there, or a savepoint of the one that is open."""
    return transaction.atomic(using=conf.database)
