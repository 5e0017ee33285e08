"""A pool of connections that never gives up: while the database is away, it tries again every two seconds.

By itself psycopg's pool waits longer after each failure, up to minutes, and those who ask for a connection
wait with it although the database is back.
"""

from __future__ import annotations

import threading
from typing import Any

RECONNECT_SECONDS = 1.0
"""How long a pool tries to replace one connection; it begins again if somebody asks for one."""
PAUSE = 0.5
"""Seconds until it begins again for those who have asked already."""

_pausing: dict[int, threading.Timer] = {}
"""By pool: a pool that has lost ten connections fails ten times."""


def try_again(pool: Any) -> None:
    """Called by the pool, in a thread of its own, when a connection could not be replaced."""
    known = _pausing.get(id(pool))
    if known is None or not known.is_alive():
        _pausing[id(pool)] = timer = threading.Timer(PAUSE, _check, [pool])
        timer.daemon = True
        timer.start()


def _check(pool: Any) -> None:
    if not pool.closed and pool.get_stats()["requests_waiting"]:
        pool.check()
