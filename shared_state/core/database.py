"""The one database that holds streams, and all that stands beside them: `SHARED_STATE["DATABASE"]`.

Users, sessions and a project's own tables may be in others. The models find their way by a router
(`shared_state.routers`); what is said by hand, and every transaction, asks here.
"""

from __future__ import annotations

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


def atomic() -> Atomic:
    """A transaction there, or a savepoint of the one that is open."""
    return transaction.atomic(using=conf.database)
