"""Turns of those who ask for what takes long: few at a time, who owes least first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared_state.core.budget import Queue, Turn


class Turns:
    """So many at a time. For one event loop."""

    def __init__(self, most: int) -> None:
        self._queue = Queue(most)
        self._called: dict[Turn, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def turn(self, turn: Turn) -> AsyncIterator[None]:
        """Wait for one's turn, and have it inside."""
        called = self._called[turn] = asyncio.get_running_loop().create_future()
        self._queue.waiting.append(turn)
        self._call()
        try:
            await called
            yield
        finally:
            del self._called[turn]
            (self._queue.waiting if turn in self._queue.waiting else self._queue.working).remove(turn)
            self._call()

    def _call(self) -> None:
        while (turn := self._queue.next()) is not None:
            self._queue.begin(turn)
            if not self._called[turn].done():  # else it was cancelled, and goes by itself
                self._called[turn].set_result(None)
