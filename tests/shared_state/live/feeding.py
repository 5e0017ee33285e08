"""What the tests of live updates share: streams, a codec that shows every event, pages with a socket."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import orjson
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from shared_state import api
from shared_state.core.types import Event, NewEvent, Provenance, StreamInfo, format_offset
from shared_state.html import changes
from shared_state.live import codecs
from shared_state.live.consumers import LiveConsumer
from shared_state.live.send_queue import SendQueue

ADA = Provenance("user:ada")
CODEC = "every-event"
_numbers = itertools.count(1)


def every_event(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
    """One element for each event, so that a client can tell which ones it was shown."""
    return [
        changes.Put(f"event-{event.offset}", "log", format_offset(event.offset), str(event.value["n"]))
        for event in events
    ]


@contextmanager
def a_codec(renderer: codecs.Codec = every_event, name: str = CODEC) -> Iterator[str]:
    """A codec that exists for one test."""
    codecs.codec(name)(renderer)
    try:
        yield name
    finally:
        del codecs._codecs[name]


async def make_stream(path: str = "", owner: str = "user:ada") -> StreamInfo:
    """A stream of Ada's."""
    place = path or f"/room/{next(_numbers)}"
    return await api.submit(lambda unit: unit.create_stream(place, "entity", owner), provenance=ADA)


async def append(stream: StreamInfo, count: int = 1, text: str = "") -> int:
    """Append events that carry their number; answers the head."""
    events = [
        NewEvent("note", f"note-{next(_numbers)}", {"n": next(_numbers), "text": text}, fold=False)
        for _ in range(count)
    ]
    return (await api.append(stream.id, events, provenance=ADA))[-1].offset


async def frames_until(send_queue: SendQueue, cursor: int) -> list[dict[str, Any]]:
    """All frames of a socket up to the patch that reaches a cursor."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while True:
            text = await send_queue.get()
            assert text is not None, "the socket was closed"
            found.append(orjson.loads(text))
            if found[-1]["op"] == "patch" and found[-1]["cursor"] >= format_offset(cursor):
                return found


def shown(frames: Sequence[dict[str, Any]]) -> list[int]:
    """The offsets of the events that patches showed, in order of arrival."""
    return [
        int(change[1].removeprefix("event-"))
        for frame in frames
        if frame["op"] == "patch"
        for change in frame["changes"]
    ]


class Page(WebsocketCommunicator):  # type: ignore[misc]
    """The socket of one page."""

    async def say(self, **frame: Any) -> None:
        """Send one frame."""
        await self.send_to(text_data=orjson.dumps(frame).decode())

    async def hear(self) -> dict[str, Any]:
        """The next frame."""
        return orjson.loads(await self.receive_from(10))  # type: ignore[no-any-return]

    async def hear_op(self, op: str) -> dict[str, Any]:
        """The next frame of one kind; others before it are passed over."""
        while (frame := await self.hear())["op"] != op:
            pass
        return frame

    async def hear_until(self, cursor: int) -> list[dict[str, Any]]:
        """All frames up to the patch that reaches a cursor."""
        frames = [await self.hear()]
        while frames[-1].get("cursor", "") < format_offset(cursor) or frames[-1]["op"] != "patch":
            frames.append(await self.hear())
        return frames


@asynccontextmanager
async def open_page(
    user: Any = None, consumer: type[LiveConsumer] = LiveConsumer, **scope: Any
) -> AsyncIterator[Page]:
    """A page whose socket is open, for a user (nobody by default)."""
    page = Page(consumer.as_asgi(), "/live/")
    page.scope["user"] = user or AnonymousUser()
    page.scope |= scope
    connected, _ = await page.connect(10)
    assert connected
    try:
        yield page
    finally:
        await page.disconnect()


database = partial(database_sync_to_async, thread_sensitive=False)
"""Run a function in a thread that gives its connection back: the pool is small."""
