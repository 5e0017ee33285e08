"""What waits for one socket, bounded: a stalled reader costs no more memory; and what it follows."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

import orjson

from shared_state.conf import conf
from shared_state.core.types import Event, Json, StreamInfo
from shared_state.exceptions import code_of

QUEUE_CHARACTERS = 4 * 1024 * 1024  # that may wait for one socket, however few frames they are
ANSWERS = 64  # that may wait for one socket before its next request has to


def encode(frame: Json) -> str:
    """A frame as the text that is sent."""
    return orjson.dumps(frame).decode()


def refusal(error: Exception, frame: Json) -> Json:
    """An error frame: the error's code (or its class's name in snake case), and what to match it by."""
    found = {"op": "error", "ref": frame.get("ref"), "code": code_of(error), "message": str(error)}
    return found | {"id": frame["id"]} if "id" in frame else found


class SendQueue:
    """What waits for one socket: shared frames up to a bound, and answers to its own requests."""

    def __init__(self, frames: int | None = None) -> None:
        self._bound = frames or conf.socket_queue
        self._waiting: deque[tuple[str, bool]] = deque()
        self._shared = 0
        self._size = 0
        self._wake: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self.ended = asyncio.Event()
        """Set by whoever sends what waits, when there will be no more of it."""
        self.feeds: dict[tuple[int, str], Feed] = {}
        """By stream and codec; kept by the hub."""
        self.expected: set[Expected] = set()
        """Feeds of streams that are not there yet; kept by the hub."""
        self.close_code = 0
        """Set once the socket is to be closed after what waits."""

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, frame: str) -> bool:
        """Queue a shared frame, or refuse because the socket reads too slowly."""
        if self._shared >= self._bound or (self._shared and self._size + len(frame) > QUEUE_CHARACTERS):
            return False
        self._shared += 1
        self._size += len(frame)
        self._put(frame, True)
        return True

    def answer(self, frame: str) -> None:
        """Queue an answer; it is never thrown away."""
        self._put(frame, False)
        if len(self._waiting) - self._shared >= ANSWERS:
            self._room.clear()

    async def room(self) -> None:
        """Wait while too many answers wait: somebody who asks without reading is not answered further."""
        await self._room.wait()

    def clear(self) -> None:
        """Throw away the shared frames."""
        self._waiting = deque(item for item in self._waiting if not item[1])
        self._shared = self._size = 0

    def close(self, code: int) -> None:
        """End the socket after what waits."""
        self.close_code = code
        self._rouse()

    async def get(self) -> str | None:
        """The next frame to send; None when the socket is to be closed."""
        while not self._waiting:
            if self.close_code:
                return None
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        frame, shared = self._waiting.popleft()
        if shared:
            self._shared -= 1
            self._size -= len(frame)
        elif len(self._waiting) - self._shared < ANSWERS:
            self._room.set()
        return frame

    def _put(self, frame: str, shared: bool) -> None:
        self._waiting.append((frame, shared))
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


@dataclass(slots=True, eq=False)
class Feed:
    """What one socket follows of a source, by one codec.

    `catching_up`: it reads for itself and takes no shared frames.
    """

    id: int
    send_queue: SendQueue
    source: Source
    codec: str
    cursor: int
    catching_up: bool = True
    open: bool = True


@dataclass(slots=True, frozen=True, eq=False)
class Expected:
    """A feed that will begin with its stream, which is `owner`'s and not there yet."""

    id: int
    send_queue: SendQueue
    path: str
    owner: str
    codec: str


@dataclass(slots=True, eq=False)
class Source:
    """A stream that is followed here. `cursor`: offered to the feeds; `head`: known to be in the log."""

    stream: StreamInfo
    cursor: int
    head: int
    codecs: dict[str, set[Feed]] = field(default_factory=dict)
    pump: asyncio.Task[None] | None = None
    reads: dict[tuple[str, int], asyncio.Task[Batch]] = field(default_factory=dict)

    fresh: list[Event] = field(default_factory=list)
    """What the writer of this process handed over, without a gap; a short cut past the database, no more."""

    def keep(self, event: Event) -> None:
        """Remember an event that was just appended here."""
        if self.fresh and (
            event.offset != self.fresh[-1].offset + 1 or len(self.fresh) >= conf.catch_up_limit
        ):
            self.fresh.clear()
        self.fresh.append(event)

    def take(self, after: int) -> list[Event]:
        """The remembered events if they continue a cursor exactly, else none; they are forgotten."""
        found = [event for event in self.fresh if event.offset > after]
        self.fresh.clear()
        return found if found and found[0].offset == after + 1 else []

    def feeds(self) -> list[Feed]:
        return [feed for feeds in self.codecs.values() for feed in feeds]


@dataclass(slots=True, frozen=True)
class Batch:
    """Events after one cursor up to another, rendered. A codec that could not show them has None."""

    start: int
    end: int
    frames: dict[str, list[str] | None]
