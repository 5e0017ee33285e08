"""Look-ups of many callers, made together: one call in one thread, one query, for all that ask meanwhile.

A thread hop and a query cost a request most of a millisecond, and little more for sixty requests at once. As
with the writer's group commit, nobody waits for others to come: what is asked while a look-up is under way
shares the next one. Measured in `tests/benchmarks/bench_http.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from shared_state.core.db_executor import in_thread

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 256
"""How many keys one look-up may have."""
HANGS = 1.0
"""Seconds after which a look-up that has not ended is not waited for by those who come later."""


class Coalesced(Generic[K, V]):
    """`look` answers many keys at once, in a thread that uses the database. Await an instance with one key.

    Each call reads what is committed when it is made, or later; nothing is remembered. Two callers with one
    key share the value. What `look` raises, all of its callers get; to refuse one key, answer it with an
    exception.
    """

    def __init__(self, look: Callable[[Sequence[K]], Mapping[K, V | Exception]]) -> None:
        self._look = look
        self._round: _Round[K, V] | None = None

    async def __call__(self, key: K) -> V:
        """The value of a key. Raises what it was answered with, if that is an exception."""
        loop = asyncio.get_running_loop()
        if self._round is None or self._round.loop is not loop:
            self._round = _Round(loop, self._look)
        found = await self._round.ask(key)
        if isinstance(found, Exception):
            raise found
        return found


class _Round(Generic[K, V]):
    """What waits on one event loop, and the task that looks it up."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, look: Callable[[Sequence[K]], Mapping[K, V | Exception]]
    ) -> None:
        self.loop = loop
        self._look = look
        self._waiting: list[tuple[K, asyncio.Future[V | Exception]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._since = 0.0

    def ask(self, key: K) -> asyncio.Future[V | Exception]:
        """Wait for the next look-up."""
        future: asyncio.Future[V | Exception] = self.loop.create_future()
        self._waiting.append((key, future))
        if not self._running or self.loop.time() - self._since > HANGS:
            self._running += 1
            self._since = self.loop.time()
            task = self.loop.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _run(self) -> None:
        try:
            while batch := self._next():
                await self._look_up(batch)
        finally:
            # Here, and not when the task is reported done: whom the last answer woke asks again before that.
            self._running -= 1

    async def _look_up(self, batch: list[tuple[K, asyncio.Future[V | Exception]]]) -> None:
        keys = list(dict.fromkeys(key for key, _ in batch))
        [done] = await asyncio.gather(in_thread(self._look, keys), return_exceptions=True)
        for key, future in batch:
            if future.done():  # its caller was cancelled
                continue
            if isinstance(done, BaseException):
                future.set_exception(done)
            else:
                future.set_result(done[key])

    def _next(self) -> list[tuple[K, asyncio.Future[V | Exception]]]:
        waiting = [each for each in self._waiting if not each[1].done()]
        batch, self._waiting = waiting[:MOST], waiting[MOST:]
        self._since = self.loop.time()
        return batch
