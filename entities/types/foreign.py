"""The door to users' code: what tools and handlers do ends their own call, and nothing else.

What they raise, of any kind, is theirs: `SystemExit` would end the event loop, `StopIteration` would never
arrive, and a `CancelledError` of their own would pass for ours. What blocks has threads of its own, which are
daemons: who waits for nothing to end must not keep the process from ending. Whatever used Django's database
gives its connections back at once, since what a thread holds is taken from a pool that is small.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, NamedTuple

import structlog
from asgiref.sync import ThreadSensitiveContext
from django.db import connections

from entities.catalog.sanitize import said
from entities.conf import conf
from entities.exceptions import ForeignError, ForeignTimeout

log = structlog.get_logger(__name__)
STOP_SECONDS = 1.5
"""How long a call that was cancelled may take to end, in seconds: a handler's and its tool's together take
less than a worker waits for both."""


class _Outcome(NamedTuple):
    value: Any
    error: BaseException | None


class ForeignThreads(Executor):
    """Threads for users' blocking code, one for each call, so many at once; further calls wait in order."""

    def __init__(self) -> None:
        self._changed = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running: set[Future[Any]] = set()
        self._lost: set[Future[Any]] = set()

    @property
    def running(self) -> int:
        """How many calls are under way, without those that are lost."""
        return len(self._running)

    @property
    def lost(self) -> int:
        """How many threads did not come back in time, and have not since."""
        return len(self._lost)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in a thread, now or when there is room. Its future has whatever it raises."""
        future: Future[Any] = Future()
        with self._changed:
            self._waiting.append(partial(self._run, future, partial(fn, *args, **kwargs)))
            self._fill()
        return future

    def give_up(self, future: Future[Any]) -> None:
        """Count a call's thread as lost; another takes its place."""
        with self._changed:
            if future in self._running:
                self._running.discard(future)
                self._lost.add(future)
                self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < conf.tool_threads:
            run = self._waiting.popleft()
            self._running.add(run.args[0])  # type: ignore[attr-defined]
            threading.Thread(target=run, name="foreign", daemon=True).start()

    def _run(self, future: Future[Any], work: Callable[[], Any]) -> None:
        """In a thread of its own."""
        try:
            if future.set_running_or_notify_cancel():
                value, error = _caught(work)
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)
        finally:
            with self._changed:
                self._running.discard(future)
                self._lost.discard(future)
                self._fill()


def _caught(work: Callable[[], Any]) -> _Outcome:
    """What work comes to; the database connections that it opened are given back."""
    try:
        return _Outcome(work(), None)
    except BaseException as error:  # noqa: BLE001  also an exit: it is this call's, not the process's
        return _Outcome(None, error)
    finally:
        connections.close_all()


threads, queries = ForeignThreads(), ForeignThreads()
"""Those of this process: for plain functions, and for what coroutines do with the ORM, which waits for none
of those that block."""


def _after_fork() -> None:
    """Threads do not survive a fork."""
    global threads, queries
    threads, queries = ForeignThreads(), ForeignThreads()


def timeout_fault(timeout: float | None) -> str:
    """Why a timeout of a tool or type is none; empty if it is seconds that can pass, or `None`."""
    if timeout is None or 0 < timeout < math.inf:
        return ""
    return f"timeout={timeout!r} is no time: give seconds above 0, or leave it out for what the settings say"


os.register_at_fork(after_in_child=_after_fork)


async def called(work: partial[Any], *, limit: float, name: str) -> Any:
    """Do users' work, a plain function's in a thread, and return what it returns; `name` is for people.

    Raises what it raises if that is an `Exception` that a coroutine may raise, else `ForeignError`;
    `ForeignTimeout` after `limit` seconds. Cancelling the caller cancels the call, and is the only way in
    which `CancelledError` is raised here.
    """
    call = _Call(work, name)
    task = asyncio.get_running_loop().create_task(call.outcome())
    try:
        done, _ = await asyncio.wait({task}, timeout=limit)
    except asyncio.CancelledError:
        await call.stop(task)
        raise
    if not done:
        await call.stop(task)
        raise ForeignTimeout(f"{name} took longer than {limit:g} s and was given up.")
    if task.cancelled():  # before it could begin
        raise ForeignError("CancelledError: the call was cancelled by nobody of ours.")
    value, error = task.result()
    if error is None:
        return value
    if may_pass(error):
        raise error
    raise ForeignError(said(error, named=True)) from error


def may_pass(error: BaseException) -> bool:
    """Whether what users' code raised may be raised further: it ends nothing but its call."""
    return isinstance(error, Exception) and not isinstance(error, StopIteration | StopAsyncIteration)


class _Call:
    """One call of users' code, in a task of its own."""

    def __init__(self, work: partial[Any], name: str) -> None:
        self._work = work
        self._name = name
        self._is_async = inspect.iscoroutinefunction(work)
        self._thread: Future[Any] | None = None

    async def outcome(self) -> _Outcome:
        """What the call comes to. What a coroutine does with the ORM is done in `queries`."""
        try:
            async with ThreadSensitiveContext(executor=queries):
                value = self._work() if self._is_async else await self._in_thread()
                if inspect.isawaitable(value):
                    value = await value
            return _Outcome(value, None)
        except BaseException as error:  # noqa: BLE001  also an exit, or a cancellation of its own
            return _Outcome(None, error)

    async def _in_thread(self) -> Any:
        work = partial(contextvars.copy_context().run, self._work)
        self._thread = threads.submit(_caught, work)
        value, error = await asyncio.wrap_future(self._thread)
        if error is not None:
            raise error
        return value

    async def stop(self, task: asyncio.Task[_Outcome]) -> None:
        """Cancel it, and wait until it has ended; a thread cannot be stopped, and is counted as lost."""
        if self._thread is not None and not self._thread.done():
            threads.give_up(self._thread)
        task.cancel()
        _, late = await asyncio.wait({task}, timeout=STOP_SECONDS)
        if late:
            log.error("foreign_call_not_ended", call=self._name)
