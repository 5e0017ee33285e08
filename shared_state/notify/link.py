"""To other processes through the channel layer: one thread, whatever fails there is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any

import structlog

from shared_state.core.types import Hint
from shared_state.notify.room import ANNOUNCE_SECONDS, Rooms

log = structlog.get_logger(__name__)

Listener = Callable[[Sequence[Hint], Sequence[str]], Any]
"""Called with hints and nudges in the announcing thread: it must be quick."""

WORKERS = "workers"
EVERYBODY = "everybody"  # the group of all processes, which are told who has room
NOBODY = "nobody"  # a group that no process joins
LAYER_TIMEOUT = 5.0  # seconds for one exchange with the channel layer
RETRY_SECONDS = 0.5
STOP_SECONDS = 0.5  # that a process which stops waits for the link's thread; it is a daemon


def group_of(stream: int) -> str:
    """The channel layer's group for the hints of a stream."""
    return f"stream.{stream}"


class Link:
    """One thread with an event loop that talks to the channel layer. Whatever fails there is tried again.

    Hints that wait to be sent are merged by stream, so a layer that does not answer costs one number per
    stream and no more.
    """

    def __init__(
        self, layer: Any, deliver: Listener, room: Callable[[], int | None], groups: Sequence[str]
    ) -> None:
        self._layer = layer
        self._deliver = deliver
        self._room = room
        self._rooms = Rooms()
        self._announcing = asyncio.Event()
        self._name = uuid.uuid4().hex
        self._pid = os.getpid()
        self._heads: dict[int, int] = {}
        self._for_all: dict[str, None] = {}
        self._for_one: dict[str, None] = {}
        self._wanted: dict[str, Future[None]] = {group: Future() for group in (EVERYBODY, *groups)}
        self._joined: set[str] = set()
        self._broken = False
        self._loop = asyncio.new_event_loop()
        self._sending = asyncio.Event()
        self._stopping = asyncio.Event()
        self._settling = asyncio.Event()
        self._settling.set()
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self._thread.start()

    def serves(self, layer: Any) -> bool:
        """Whether this is a living link over that layer; a fork leaves the thread behind."""
        return self._layer is layer and self._pid == os.getpid() and self._thread.is_alive()

    def publish(self, hints: Sequence[Hint], for_all: Sequence[str], for_one: Sequence[str]) -> None:
        """Queue an announcement, and nudges for one worker."""
        self._loop.call_soon_threadsafe(self._queue, hints, for_all, for_one)

    def announce_room(self) -> None:
        """Say now how much room there is here."""
        self._loop.call_soon_threadsafe(self._announcing.set)

    def reach(self) -> Future[None]:
        """Whether the layer answers, outside of the order of what is announced."""
        sending = self._layer.group_send(NOBODY, {"type": "probe", "from": self._name})
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(sending, LAYER_TIMEOUT), self._loop)

    def join(self, group: str) -> Future[None]:
        """Be in a group as soon as the layer allows."""
        done = self._wanted.setdefault(group, Future())
        self._loop.call_soon_threadsafe(self._settling.set)
        return done

    def leave(self, group: str) -> None:
        """Be out of a group."""
        self._wanted.pop(group, None)
        self._loop.call_soon_threadsafe(self._settling.set)

    def stop(self) -> None:
        """End the thread. What waits to be sent is lost, as hints may be."""
        if self._pid == os.getpid() and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        # The runner ends what is left and closes the loop; channels_redis then closes its connections.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._work())

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._publish_forever()), group.create_task(self._receive_forever())]
            await self._stopping.wait()
            for task in tasks:
                task.cancel()

    def _queue(self, hints: Sequence[Hint], for_all: Sequence[str], for_one: Sequence[str]) -> None:
        for hint in hints:
            self._heads[hint.stream] = max(hint.head, self._heads.get(hint.stream, 0))
        self._for_all.update(dict.fromkeys(for_all))
        self._for_one.update(dict.fromkeys(for_one))
        self._sending.set()

    async def _publish_forever(self) -> None:
        while True:
            await self._sending.wait()
            self._sending.clear()
            heads, self._heads = self._heads, {}
            for_all, self._for_all = self._for_all, {}
            for_one, self._for_one = self._for_one, {}
            sends = [
                self._layer.group_send(group_of(stream), self._said("hint", stream=stream, head=head))
                for stream, head in heads.items()
            ]
            sends += self._nudging(list(for_all), list(for_one))
            if not await self._attempt(*sends):
                await asyncio.sleep(RETRY_SECONDS)

    def _said(self, type: str, **content: Any) -> dict[str, Any]:
        return {"type": type, "from": self._name, **content}

    def _nudging(self, for_all: list[str], for_one: list[str]) -> list[Awaitable[None]]:
        """Those for one go to somebody with room; if all are full, to nobody: who is done looks itself."""
        sends = []
        if not self._rooms.anybody:
            for_all, for_one = [*for_one, *for_all], []
        if for_one and (chosen := self._rooms.choose()) is not None:
            sends.append(self._layer.send(chosen, self._said("nudge", nudges=for_one)))
        if for_all:
            sends.append(self._layer.group_send(WORKERS, self._said("nudge", nudges=for_all)))
        return sends

    async def _announce_forever(self, channel: str) -> None:
        """Tell all processes how much work this one would take, if it is one that does."""
        told = False
        while True:
            room = self._room()
            if told or room is not None:
                said = self._said("room", channel=channel, room=room)
                await self._attempt(self._layer.group_send(EVERYBODY, said))
            told = room is not None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._announcing.wait(), ANNOUNCE_SECONDS)
            self._announcing.clear()

    async def _receive_forever(self) -> None:
        channel = await self._insist(self._layer.new_channel, "live.")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._settle_forever(channel))
            group.create_task(self._announce_forever(channel))
            while True:
                self._received(await self._insist(self._layer.receive, channel))

    def _received(self, message: dict[str, Any]) -> None:
        if message["from"] == self._name:
            return  # this process was told directly
        if message["type"] == "hint":
            self._deliver([Hint(message["stream"], message["head"])], ())
        elif message["type"] == "room":
            self._rooms.hear(message["from"], message["channel"], message["room"])
        else:
            self._deliver((), message["nudges"])

    async def _settle_forever(self, channel: str) -> None:
        """Make the groups that we are in those that are wanted."""
        while True:
            await self._settling.wait()
            self._settling.clear()
            for group, done in list(self._wanted.items()):
                if group not in self._joined and await self._attempt(self._layer.group_add(group, channel)):
                    self._joined.add(group)
                if group in self._joined and not done.done():
                    done.set_result(None)
            for group in self._joined - self._wanted.keys():
                if await self._attempt(self._layer.group_discard(group, channel)):
                    self._joined.discard(group)
            if self._joined != self._wanted.keys():
                self._settling.set()
                await asyncio.sleep(RETRY_SECONDS if self._broken else 0)

    async def _insist(self, exchange: Callable[[str], Awaitable[Any]], argument: str) -> Any:
        """Await an exchange that may take for ever, and try it again until it goes well."""
        while True:
            answers = await asyncio.gather(exchange(argument), return_exceptions=True)
            if not isinstance(answers[0], Exception):
                return answers[0]
            self._note(answers[0])
            await asyncio.sleep(RETRY_SECONDS)

    async def _attempt(self, *exchanges: Awaitable[Any]) -> bool:
        """Await exchanges with the layer for a bounded time; say whether all went well."""
        try:
            async with asyncio.timeout(LAYER_TIMEOUT):
                answers = await asyncio.gather(*exchanges, return_exceptions=True)
        except TimeoutError as error:
            answers = [error]
        failure = next((answer for answer in answers if isinstance(answer, Exception)), None)
        self._note(failure)
        return failure is None

    def _note(self, failure: Exception | None) -> None:
        """Log the first failure in a row, and the recovery."""
        if failure is not None and not self._broken:
            log.warning("channel_layer_failed", error=repr(failure), consequence="polls cover lost hints")
        elif failure is None and self._broken:
            log.warning("channel_layer_recovered")
        self._broken = failure is not None
