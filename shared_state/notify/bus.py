"""Hints after a commit: straight to this process's listeners, through the channel layer to other processes.

A hint says that a stream moved, a nudge that a worker may have something to do. Both may be lost, doubled or
late: whoever listens holds a cursor in the database and polls now and then. So nothing here waits, nothing
is stored beyond the newest head of each stream, and no failure reaches the writer, whose change is
committed by then.

Between processes the hints of a stream go to the group `stream.<id>`, which a process joins while somebody
in it follows that stream, and nudges to the group `workers`. The in-memory layer reaches nobody else, so it
is not used at all.
"""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any

import structlog
from channels.layers import InMemoryChannelLayer, get_channel_layer

from shared_state.core.types import Event, Hint

log = structlog.get_logger(__name__)

Listener = Callable[[Sequence[Hint], Sequence[str]], None]
"""Called with hints and nudges in the announcing thread: it must be quick."""

Watcher = Callable[[Sequence[Hint], Sequence[Event]], None]
"""Called with hints and, if they were appended in this process, the events; it must be quick."""

WORKERS = "workers"
NOBODY = "nobody"  # a group that no process joins
LAYER_TIMEOUT = 5.0  # seconds for one exchange with the channel layer
RETRY_SECONDS = 0.5
STOP_SECONDS = 0.5  # that a process which stops waits for the link's thread; it is a daemon


def group_of(stream: int) -> str:
    """The channel layer's group for the hints of a stream."""
    return f"stream.{stream}"


class Bus:
    """Listeners in this process, and the link to the others. Safe in any thread."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._watchers: tuple[Watcher, ...] = ()
        self._groups: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._link: Link | None = None

    def publish(
        self, hints: Sequence[Hint], nudges: Sequence[str] = (), events: Sequence[Event] = ()
    ) -> None:
        """Announce what was committed. Never blocks, never raises."""
        self._deliver(hints, nudges, events)
        self._guarded(self._forward, hints, nudges)

    def listen(self, callback: Listener) -> None:
        """Call `callback` with every announcement of this process, and with other processes' nudges."""
        with self._lock:
            self._listeners = (*self._listeners, callback)
        self._join(WORKERS)

    def unlisten(self, callback: Listener) -> None:
        """Undo `listen`."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != callback)
        self._leave(WORKERS)

    def watch(self, callback: Watcher) -> None:
        """Call `callback` with this process's hints and events, and with the hints of joined streams."""
        with self._lock:
            self._watchers = (*self._watchers, callback)

    def unwatch(self, callback: Watcher) -> None:
        """Undo `watch`."""
        with self._lock:
            self._watchers = tuple(one for one in self._watchers if one != callback)

    def join(self, stream: int) -> Future[None]:
        """Hear other processes' hints about a stream from now on; done when they can reach us."""
        return self._join(group_of(stream))

    def leave(self, stream: int) -> None:
        """Undo one `join`."""
        self._leave(group_of(stream))

    def reach(self) -> Future[None]:
        """Send something to nobody, the way hints go: done when the layer took it, failed if it did not."""
        link = self._linked()
        return link.reach() if link is not None else _done()

    def stop(self) -> None:
        """End the link's thread; the next announcement makes another."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.stop()

    def _deliver(self, hints: Sequence[Hint], nudges: Sequence[str], events: Sequence[Event] = ()) -> None:
        # Watchers first: a person waits for them.
        for watcher in self._watchers:
            self._guarded(watcher, hints, events)
        for listener in self._listeners:
            self._guarded(listener, hints, nudges)

    def _forward(self, hints: Sequence[Hint], nudges: Sequence[str]) -> None:
        link = self._linked()
        if link is not None:
            link.publish(hints, nudges)

    def _guarded(self, callback: Callable[[Any, Any], None], *said: Sequence[Any]) -> None:
        try:
            callback(*said)
        except Exception:  # what was committed must not look failed to the one who wrote it
            log.exception("hint_not_taken", callback=repr(callback))

    def _join(self, group: str) -> Future[None]:
        with self._lock:
            self._groups[group] += 1
        link = self._linked()
        return link.join(group) if link is not None else _done()

    def _leave(self, group: str) -> None:
        with self._lock:
            self._groups[group] -= 1
            gone = self._groups[group] <= 0
            if gone:
                del self._groups[group]
            link = self._link
        if gone and link is not None:
            link.leave(group)

    def _linked(self) -> Link | None:
        """The link over the configured layer; made at the first need, made anew when the layer changes."""
        layer = get_channel_layer()
        if self._link is not None and self._link.serves(layer):
            return self._link
        remote = layer is not None and not isinstance(layer, InMemoryChannelLayer)
        with self._lock:
            old, self._link = self._link, None
            if remote:
                self._link = Link(layer, self._deliver, list(self._groups))
            link = self._link
        if old is not None:
            old.stop()
        return link


class Link:
    """One thread with an event loop that talks to the channel layer. Whatever fails there is tried again.

    Hints that wait to be sent are merged by stream, so a layer that does not answer costs one number per
    stream and no more.
    """

    def __init__(self, layer: Any, deliver: Listener, groups: Sequence[str]) -> None:
        self._layer = layer
        self._deliver = deliver
        self._name = uuid.uuid4().hex
        self._pid = os.getpid()
        self._heads: dict[int, int] = {}
        self._nudges: dict[str, None] = {}
        self._wanted: dict[str, Future[None]] = {group: Future() for group in groups}
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

    def publish(self, hints: Sequence[Hint], nudges: Sequence[str]) -> None:
        """Queue an announcement."""
        self._loop.call_soon_threadsafe(self._queue, hints, nudges)

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

    def _queue(self, hints: Sequence[Hint], nudges: Sequence[str]) -> None:
        for hint in hints:
            self._heads[hint.stream] = max(hint.head, self._heads.get(hint.stream, 0))
        self._nudges.update(dict.fromkeys(nudges))
        self._sending.set()

    async def _publish_forever(self) -> None:
        while True:
            await self._sending.wait()
            self._sending.clear()
            heads, self._heads = self._heads, {}
            nudges, self._nudges = self._nudges, {}
            messages = [
                (group_of(stream), {"type": "hint", "from": self._name, "stream": stream, "head": head})
                for stream, head in heads.items()
            ]
            if nudges:
                messages.append((WORKERS, {"type": "nudge", "from": self._name, "nudges": list(nudges)}))
            if not await self._attempt(*[self._layer.group_send(*message) for message in messages]):
                await asyncio.sleep(RETRY_SECONDS)

    async def _receive_forever(self) -> None:
        channel = await self._insist(self._layer.new_channel, "live.")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._settle_forever(channel))
            while True:
                self._received(await self._insist(self._layer.receive, channel))

    def _received(self, message: dict[str, Any]) -> None:
        if message["from"] == self._name:
            return  # this process was told directly
        if message["type"] == "hint":
            self._deliver([Hint(message["stream"], message["head"])], ())
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


def _done() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


_bus = Bus()
publish, listen, unlisten, stop = _bus.publish, _bus.listen, _bus.unlisten, _bus.stop


def default() -> Bus:
    """The bus of this process."""
    return _bus
