"""Hubs for tests: one as in a web process, and one that hears of commits late or never."""

import asyncio

from shared_state.core.types import Hint, StreamInfo
from shared_state.live import codecs
from shared_state.live.hub import Hub
from shared_state.live.send_queue import SendQueue
from shared_state.notify import bus
from tests.shared_state.live.feeding import CODEC


class FarHub(Hub):
    """The hub of another process: it reads the same database, and hears what the test says."""

    def __init__(self) -> None:
        self.far_bus = bus.Bus()
        super().__init__(codecs.encode_events, self.far_bus)

    def hears(self, stream: StreamInfo, head: int) -> None:
        self.far_bus.publish([Hint(stream.id, head)])


async def settled(hub: Hub) -> None:
    """Wait until every feed has caught up, and nothing is read or rendered any more."""

    def busy() -> bool:
        sources = hub._sources.values()
        pumping = any(source.pump is not None and not source.pump.done() for source in sources)
        return pumping or any(feed.catching_up for source in sources for feed in source.feeds())

    async with asyncio.timeout(10):
        while busy():
            await asyncio.sleep(0)


def follow_all(
    hub: Hub, stream: StreamInfo, count: int, codec: str = CODEC, frames: int | None = None
) -> list[SendQueue]:
    queues = [SendQueue(frames) for _ in range(count)]
    for send_queue in queues:
        assert hub.follow(send_queue, 1, stream, codec, stream.head)
    return queues


async def drained(hub: Hub) -> None:
    """Wait until the hub has offered all that it knows of."""
    async with asyncio.timeout(10):
        while any(source.cursor < source.head for source in hub._sources.values()):
            await asyncio.sleep(0.001)
