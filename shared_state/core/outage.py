"""While the database cannot be reached, nobody waits for it: who has waited a little is told so.

A call that is slow may wait behind others, and then it is worth waiting for; so time alone ends none. But
once a call has waited a little, the database is asked whether it is there, by one attempt for all who wait.
If it is not, they are told so, and where their threads hang, they hang without them. From then on nobody
begins anything that would hang as well: each asks first, and waits a second for the answer at the most.

It is asked over a connection of its own. Those of the pool may all be taken, which is no outage; or be dead,
which is none any more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.db import OperationalError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from shared_state.core import database
from shared_state.exceptions import Unavailable

logger = structlog.get_logger(__name__)

TIMEOUT = 2.0
"""Seconds after which a part that has not answered is said to fail."""
SLOW_AFTER = 0.6
"""Seconds that a call may take before the database is asked."""
AGAIN = 0.5
"""Seconds from one answer to the next question, while somebody waits."""
RETRY_AFTER = 2
"""Seconds after which it is worth asking again, as callers are told."""
NEWS = 1.0
"""Seconds that a call waits for the news that a database is back which was away."""
HOLDS = 0.05
"""Seconds for which it stays away, if an attempt hangs, for what stood behind others that were told so."""
CONNECT_SECONDS = 5
"""How long one attempt to connect may take: packets to a machine that is gone are lost one and all."""


class Part:
    """One part that the site needs, and the attempt to reach it that is under way.

    Each attempt has a thread of its own, and those who ask meanwhile wait for the same: so questions cost a
    part that hangs one thread, however many come and however long it hangs.
    """

    def __init__(self, name: str, reach: Callable[[], None]) -> None:
        self.name = name
        self.reach = reach
        self._attempt: Future[None] | None = None
        self._failing = False

    async def fails(self, seconds: float | None = None) -> bool:
        """Whether it cannot be reached within so many seconds, by default the timeout."""
        if self._attempt is None or self._attempt.done():
            self._attempt = self._begin()
        attempt = self._attempt
        error: Exception | None = None
        limit = TIMEOUT if seconds is None else seconds
        try:
            # Giving up ends the wait alone: an attempt that runs cannot be cancelled.
            await asyncio.wait_for(asyncio.wrap_future(attempt), limit)
        except Exception as failure:  # noqa: BLE001  whatever it is, the part is not to be relied upon
            error = failure
        if (error is not None) != self._failing:
            self._failing = error is not None
            logger.warning("health.changed", part=self.name, failing=self._failing, error=repr(error))
        return error is not None

    def hangs(self) -> bool:
        """Whether an attempt is under way."""
        return self._attempt is not None and not self._attempt.done()

    def _begin(self) -> Future[None]:
        attempt: Future[None] = Future()
        attempt.set_running_or_notify_cancel()
        # Not a pool's: a process that ends would wait for a thread that hangs in one.
        threading.Thread(target=self._run, args=(attempt,), name=f"health-{self.name}", daemon=True).start()
        return attempt

    def _run(self, attempt: Future[None]) -> None:
        try:
            self.reach()
        except Exception as error:  # noqa: BLE001  handed on to those who asked
            attempt.set_exception(error)
        else:
            attempt.set_result(None)
        finally:
            connections.close_all()


def reach() -> None:
    """Connect to the streams' database and the users', and ask each for a 1. Raises what that raises.

    Where there is a pool, past it.
    """
    for alias in {database.alias(), router.db_for_read(get_user_model())}:
        own = connections[alias]
        if own.settings_dict["OPTIONS"].get("pool"):
            own = own.copy()
            options = own.settings_dict["OPTIONS"]
            own.settings_dict["OPTIONS"] = {**options, "pool": None, "connect_timeout": CONNECT_SECONDS}
        try:
            with own.cursor() as cursor:
                cursor.execute("SELECT 1")
        except OperationalError as error:
            if not _is_full(own, error):
                raise
        finally:
            own.close()


def _is_full(own: BaseDatabaseWrapper, error: OperationalError) -> bool:
    """Whether a server of PostgreSQL is there, and has no connection left for us but those that we have."""
    if own.vendor != "postgresql" or own.connection is not None:
        return False
    from psycopg import conninfo, errors, pq

    if isinstance(error.__cause__, errors.ConnectionTimeout):
        return False
    params = own.get_connection_params()
    place: dict[str, Any] = {name: params.get(name) for name in ("host", "port", "dbname", "user")}
    # The library may stop all threads meanwhile; a server that has just answered does so at once.
    asked = conninfo.make_conninfo(**place, connect_timeout=2)
    return pq.PGconn.ping(asked.encode()) == pq.Ping.OK


class Outage:
    """The calls of this process that wait, and the task that asks for them. For one event loop at a time."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._waiting: set[asyncio.Timeout] = set()
        self._asking: asyncio.Task[None] | None = None
        self._away_until = 0.0
        """When, by the loop's clock, the answer that it is away ends to hold; 0 if it is there."""

    @asynccontextmanager
    async def ends_waiting(self, *, queued: bool = False) -> AsyncIterator[None]:
        """Within, a call is cancelled when the database is found to be away. Raises `Unavailable` then.

        Also at once, and nothing is begun, if it is still away. What a call has submitted may be written all
        the same, once the database is there again. `queued`: whether calls stand behind each other, so that
        their waits would add up.
        """
        if self._away_until:
            await self._require(queued)
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
                raise Unavailable from None
            raise

    async def _require(self, queued: bool) -> None:
        """Raise `Unavailable` unless the database is there again."""
        held = queued and self._part.hangs() and asyncio.get_running_loop().time() < self._away_until
        if held or await self._is_away(NEWS):
            raise Unavailable

    async def _is_away(self, seconds: float | None = None) -> bool:
        away = await self._part.fails(seconds)
        self._away_until = asyncio.get_running_loop().time() + HOLDS if away else 0.0
        return away

    def _is_slow(self, limit: asyncio.Timeout) -> None:
        self._waiting.add(limit)
        if self._asking is None or self._asking.done() or not _runs_here(self._asking):
            self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        while self._waiting:
            if not await self._is_away():
                await asyncio.sleep(AGAIN)
                continue
            now = asyncio.get_running_loop().time()
            while self._waiting:
                self._waiting.pop().reschedule(now)


def _runs_here(task: asyncio.Task[None]) -> bool:
    return task.get_loop() is asyncio.get_running_loop()


outage = Outage(Part("database", reach))
"""Of this process."""
