"""Blocking database work for async callers: a few threads of our own, whose connections are looked after.

A thread that has used the database keeps its connection, and with it one of PostgreSQL's pool, until somebody
closes it. Django does so at the end of a request; nobody does in the event loop's own threads.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 6
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="database")


class DatabaseThreads:
    """Threads that use the database, for an owner that may end before the process does.

    A thread that ends leaves its connections to the garbage collector, which Python 3.13 complains about.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._connections: list[BaseDatabaseWrapper] = []
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=self._remember)

    def _remember(self) -> None:
        for own in connections.all():
            own.inc_thread_sharing()  # so that it can be closed when this thread is gone
            self._connections.append(own)

    def end(self) -> None:
        """Take no more calls, forget those that wait, and close the connections once the rest are done."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        threading.Thread(target=self._close, name="database-closing").start()

    def _close(self) -> None:
        self.executor.shutdown(wait=True)
        for own in self._connections:
            own.close()


async def in_thread(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that uses the database, and wait for it without blocking the event loop."""
    context = contextvars.copy_context()
    call = partial(context.run, with_connection, fn, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool, call)


def wait_in_thread(fn: Callable[P, T], seconds: float, /, *args: P.args, **kwargs: P.kwargs) -> T:
    """`in_thread` for a thread that may block, but not for ever. Raises `TimeoutError`."""
    context = contextvars.copy_context()
    return _pool.submit(partial(context.run, with_connection, fn, *args, **kwargs)).result(seconds)


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
