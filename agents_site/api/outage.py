"""While the database cannot be reached, nobody waits for it: who has waited a little gets a 503.

A call that is slow may wait behind others, and then it is worth waiting for; so time alone ends none. But
once a call has waited a little, the database is asked whether it is there, by one attempt for all who wait.
If it is not, they are told so, and where their threads hang, they hang without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents_site.api.errors import ApiError
from agents_site.health import Part, reach_database

SLOW_AFTER = 0.6
"""Seconds that a call may take before the database is asked. The answer takes two at the most (`health`)."""
AGAIN = 0.5
"""Seconds from one answer to the next question, while somebody waits."""
RETRY_AFTER = 2
"""Seconds after which it is worth asking again, as callers are told."""


def unavailable() -> ApiError:
    """The answer."""
    error = ApiError(503, "unavailable", "The database did not answer; try again.")
    error.headers.append((b"retry-after", str(RETRY_AFTER).encode()))
    return error


class Outage:
    """The calls of this process that wait, and the task that asks for them. For one event loop at a time."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._waiting: set[asyncio.Timeout] = set()
        self._asking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def ends_waiting(self) -> AsyncIterator[None]:
        """Within, a call is cancelled when the database is found to be away. Raises `ApiError` 503 then.

        What it has submitted may be written all the same, once the database is there again.
        """
        limit = asyncio.timeout(None)
        try:
            async with limit:
                slow = asyncio.get_running_loop().call_later(SLOW_AFTER, self._is_slow, limit)
                try:
                    yield
                finally:
                    slow.cancel()
                    self._waiting.discard(limit)
        except TimeoutError:
            if limit.expired():
                raise unavailable() from None
            raise

    def _is_slow(self, limit: asyncio.Timeout) -> None:
        self._waiting.add(limit)
        if self._asking is None or self._asking.done() or not _runs_here(self._asking):
            self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        while self._waiting:
            if not await self._part.fails():
                await asyncio.sleep(AGAIN)
                continue
            now = asyncio.get_running_loop().time()
            while self._waiting:
                self._waiting.pop().reschedule(now)


def _runs_here(task: asyncio.Task[None]) -> bool:
    return task.get_loop() is asyncio.get_running_loop()


outage = Outage(Part("database", reach_database))
