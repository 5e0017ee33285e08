"""Blocking database work for async callers: a few threads of our own, whose connections are looked after.

A thread that has used the database keeps its connection, and with it one of PostgreSQL's pool, until somebody
closes it. Django does so at the end of a request; nobody does in the event loop's own threads.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 6
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="database")


async def in_thread(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that uses the database, and wait for it without blocking the event loop."""
    context = contextvars.copy_context()
    call = partial(context.run, with_connection, fn, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool, call)


def with_connection(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """A unit of work of a thread that lives long: a connection that broke meanwhile is replaced."""
    close_old_connections()
    try:
        return fn(*args, **kwargs)
    finally:
        for connection in connections.all(initialized_only=True):
            if connection.vendor == "sqlite":
                # Opening the file anew costs as much as a read; what failed is closed all the same.
                connection.close_at = None
        close_old_connections()
