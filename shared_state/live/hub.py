"""One subscription, one read and one render for each stream and process, however many sockets follow it.

A *source* is a stream that somebody here follows; a *feed* is what one socket follows of it, by one codec.
Both hold a cursor. A hint makes the source read what is new once, render it once per codec, and offer the
same text to every feed. The rule that makes it correct: **a feed takes shared frames only if they continue
its cursor exactly**; a feed whose cursor is elsewhere reads for itself until it has caught up. So a feed is
registered first and caught up then, and no order of commits, hints and reads can make a gap or a double.

A socket that reads too slowly is never waited for and never buffered without bound: what waits for it is
thrown away, and it is told to follow again from its cursor. One whose cursor lies before a hole in the log
(offsets are given out without gaps, so a gap was pruned) is told to load its page anew.

Everything but `_heard` runs on the hub's event loop. Reads and renders run in a few threads, which are not
those that answer sockets: what is slow to render keeps nobody from opening a page. Nor does it keep other
streams waiting: what cannot be rendered at once is begun again in other threads, where streams take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import orjson
import structlog
from django.db import Error as DatabaseError

from shared_state import api
from shared_state.conf import conf
from shared_state.core import budget
from shared_state.core.db_executor import DatabaseThreads, with_connection
from shared_state.core.types import Event, Hint, StreamInfo
from shared_state.live.send_queue import Batch, Expected, Feed, SendQueue, Source, encode, refusal
from shared_state.live.turns import Turns
from shared_state.notify.bus import Bus

log = structlog.get_logger(__name__)
T = TypeVar("T")

Render = Callable[[str, StreamInfo, int, Sequence[Event]], list[str] | None]
"""(codec, stream, after, events) -> frames, or None if the codec cannot show them; runs in a thread."""

THREADS = 2
"""That answer sockets: who opens one, what they may follow, what is new."""
RENDER_THREADS = 2
"""That read what is new in a stream, and render it at once."""
SLOW_THREADS = 2
"""That do the same for what takes long, in the order of `Turns`."""
AGAIN_SECONDS = 0.01  # between two reads of a feed that must find something and did not
FAREWELL_SECONDS = 0.3  # how long a process that stops waits for its sockets to be told
GOING_AWAY = (
    4012  # websocket close code: the service restarts, come back (autobahn refuses the standard 1012)
)


class Hub:
    """The sources and feeds of one process. Not for use from another event loop or thread."""

    def __init__(self, render: Render, bus: Bus) -> None:
        self._render = render
        self._bus = bus
        self._sources: dict[int, Source] = {}
        self._expected: set[Expected] = set()
        self._newest = 0
        """The latest stream that was heard of while one was expected; a new one comes after it."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._send_queues: set[SendQueue] = set()
        self._threads = DatabaseThreads(THREADS, "hub")
        self._rendering = DatabaseThreads(RENDER_THREADS, "hub-rendering")
        self._slow = DatabaseThreads(SLOW_THREADS, "hub-slow")
        self._turns = Turns(SLOW_THREADS)
        self._loop = asyncio.get_running_loop()
        self._bus.watch(self._heard)
        self._spawn(self._poll())

    def lives(self) -> bool:
        """Whether this hub belongs to the running event loop."""
        return self._loop is asyncio.get_running_loop()

    def abandon(self) -> None:
        """Let go of the rest of the process; all that can be done when the loop is gone."""
        self._bus.unwatch(self._heard)
        for stream in self._sources:
            self._bus.leave(stream)
        self._sources.clear()
        self._expected.clear()
        self._threads.end()
        self._rendering.end()
        self._slow.end()

    async def stop(self) -> None:
        """Tell the sockets to come back, and end everything."""
        queues = tuple(self._send_queues)
        for send_queue in queues:
            self.leave(send_queue)
            send_queue.close(GOING_AWAY)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await asyncio.gather(*[send_queue.ended.wait() for send_queue in queues])
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.abandon()

    async def run(self, fn: Callable[..., T], *args: Any) -> T:
        """Call a function that uses the database in one of the hub's threads."""
        return await self._loop.run_in_executor(self._threads.executor, with_connection, fn, *args)

    async def _rendered(
        self, stream: StreamInfo, after: int, codecs: Sequence[str], fresh: Sequence[Event] = ()
    ) -> Batch:
        """`_batch` in one of the threads that render; in one of the others if some text of it takes long."""
        call = partial(with_connection, self._batch, stream, after, codecs, fresh)
        try:
            return await self._loop.run_in_executor(self._rendering.executor, _at_once, call)
        except budget.NotAtOnceError as error:
            turn = budget.Turn(budget.account_of(stream), error.size)
        async with self._turns.turn(turn):
            return await self._loop.run_in_executor(self._slow.executor, call)

    # -- following

    def follow(self, send_queue: SendQueue, ident: int, stream: StreamInfo, codec: str, after: int) -> bool:
        """Feed a socket what comes after a cursor; False if that is too far back (or not yet there).

        `stream` is as it was read just now. A feed of the same stream and codec in this socket is replaced.
        """
        if not stream.head - conf.catch_up_limit <= after <= stream.head:
            return False
        if (old := send_queue.feeds.get((stream.id, codec))) is not None:
            self.unfollow(old)
        source = self._sources.get(stream.id) or self._open(stream)
        feed = Feed(ident, send_queue, source, codec, after)
        source.codecs.setdefault(codec, set()).add(feed)
        send_queue.feeds[stream.id, codec] = feed
        self._spawn(self._catch_up(feed))
        return True

    def unfollow(self, feed: Feed) -> None:
        """End a feed."""
        feed.open = False
        feed.send_queue.feeds.pop((feed.source.stream.id, feed.codec), None)
        source = feed.source
        feeds = source.codecs.get(feed.codec, set())
        feeds.discard(feed)
        if not feeds:
            source.codecs.pop(feed.codec, None)
        if not source.codecs and self._sources.get(source.stream.id) is source:
            del self._sources[source.stream.id]
            self._bus.leave(source.stream.id)

    def expect(self, expected: Expected) -> None:
        """Begin a feed as soon as its stream is there; at once if it came meanwhile."""
        place = (expected.path, expected.codec)
        for old in tuple(expected.send_queue.expected):
            if (old.path, old.codec) == place:
                self.forget(old)
        self._expected.add(expected)
        expected.send_queue.expected.add(expected)
        self._spawn(self._seek())

    def forget(self, expected: Expected) -> None:
        """Undo `expect`."""
        self._expected.discard(expected)
        expected.send_queue.expected.discard(expected)

    async def _seek(self) -> None:
        """Begin the feeds whose streams have come."""
        paths = {expected.path for expected in self._expected}
        try:
            found = await self.run(api.get_streams, paths)
        except DatabaseError as error:
            log.warning("expected_not_read", error=str(error))
            return  # the next hint or poll tries again
        for expected in tuple(self._expected):
            if (stream := found.get(expected.path)) is not None:
                self.forget(expected)
                self._begin(expected, stream)

    def _begin(self, expected: Expected, stream: StreamInfo) -> None:
        ident, send_queue = expected.id, expected.send_queue
        if stream.owner != expected.owner:
            send_queue.answer(encode(refusal(api.StreamNotFound(), {"id": ident})))
        elif not self.follow(send_queue, ident, stream, expected.codec, 0):
            send_queue.answer(encode({"op": "reset", "id": ident}))

    def attach(self, send_queue: SendQueue) -> None:
        """Know of a socket, to tell it when the process stops."""
        self._send_queues.add(send_queue)

    def leave(self, send_queue: SendQueue) -> None:
        """Forget a socket and end all its feeds."""
        for feed in tuple(send_queue.feeds.values()):
            self.unfollow(feed)
        for expected in tuple(send_queue.expected):
            self.forget(expected)
        self._send_queues.discard(send_queue)

    def _open(self, stream: StreamInfo) -> Source:
        # From here on every commit of this process is heard; the catching up that follows finds earlier ones.
        source = self._sources[stream.id] = Source(stream, stream.head, stream.head)
        joined = self._bus.join(stream.id)
        if not joined.done():
            # Other processes' hints reach us a little later: look once more when they do.
            joined.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._probe, stream.id))
        return source

    def _probe(self, stream: int) -> None:
        if stream in self._sources:
            self._spawn(self.poll([stream]))

    async def _catch_up(self, feed: Feed) -> None:
        """Bring a feed from its cursor to where the shared frames go on."""
        feed.catching_up = True
        source = feed.source
        while feed.open:
            try:
                batch = await self._read_once(source, feed.codec, feed.cursor)
            except DatabaseError as error:
                log.warning("feed_not_read", stream=source.stream.path, error=str(error))
                await asyncio.sleep(conf.poll_seconds)
                continue
            if feed.open:
                self._take(feed, batch)
            if feed.cursor >= source.cursor and batch.end - batch.start < conf.catch_up_limit:
                break
            if batch.end == batch.start:
                # What the others were shown was committed after our read. It is there now, unless the
                # database was set back under us: that must not become a busy loop.
                await asyncio.sleep(AGAIN_SECONDS)
        feed.catching_up = False
        # Nobody needs shared frames for what everybody has by now.
        source.cursor = max(source.cursor, min((feed.cursor for feed in source.feeds()), default=0))

    async def _read_once(self, source: Source, codec: str, after: int) -> Batch:
        """Read and render for one codec; feeds that ask for the same at the same time share it."""
        key = (codec, after)
        task = source.reads.get(key)
        if task is None:
            task = source.reads[key] = self._spawn(self._rendered(source.stream, after, (codec,)))
            task.add_done_callback(lambda _: source.reads.pop(key, None))
        return await asyncio.shield(task)

    # -- moving on

    def _heard(self, hints: Sequence[Hint], events: Sequence[Event]) -> None:
        """Any thread: something was committed."""
        ours = [hint for hint in hints if hint.stream in self._sources]
        if ours:
            fresh = [_as_stored(event) for event in events if event.stream in self._sources]
            self._loop.call_soon_threadsafe(self._hinted, ours, fresh)
        newest = max((hint.stream for hint in hints), default=0)
        if self._expected and newest > self._newest:
            self._loop.call_soon_threadsafe(self._came, newest)

    def _came(self, newest: int) -> None:
        """There is a stream that was not there before: it may be one that is expected."""
        self._newest = max(self._newest, newest)
        self._spawn(self._seek())

    def _hinted(self, hints: Sequence[Hint], events: Sequence[Event]) -> None:
        for event in events:
            if (source := self._sources.get(event.stream)) is not None:
                source.keep(event)
        for hint in hints:
            if (source := self._sources.get(hint.stream)) is not None:
                self._advance(source, hint.head)

    def _advance(self, source: Source, head: int) -> None:
        """Read on, unless a read is under way: that one goes on by itself."""
        source.head = max(source.head, head)
        if source.cursor < source.head and (source.pump is None or source.pump.done()):
            source.pump = self._spawn(self._pump(source))

    async def _pump(self, source: Source) -> None:
        while source.codecs and source.cursor < source.head:
            codecs, after = tuple(source.codecs), source.cursor
            try:
                batch = await self._rendered(source.stream, after, codecs, source.take(after))
            except DatabaseError as error:
                log.warning("stream_not_read", stream=source.stream.path, error=str(error))
                return  # the next hint or poll tries again
            if batch.end == batch.start:
                return  # a hint for what is not there
            self._broadcast(source, batch)

    def _batch(
        self, stream: StreamInfo, after: int, codecs: Sequence[str], fresh: Sequence[Event] = ()
    ) -> Batch:
        """In a thread: one read (unless the writer handed the events over), one render per codec."""
        events = fresh or api.read(stream.id, after, conf.catch_up_limit)
        if not events and after >= stream.head:
            return Batch(after, after, {codec: [] for codec in codecs})
        if not events or events[-1].offset - after != len(events):
            # Something was pruned that the feed has not seen: what came of it is on the page, if loaded anew.
            end = events[-1].offset if events else stream.head
            return Batch(after, end, dict.fromkeys(codecs))
        frames = {codec: self._render(codec, stream, after, events) for codec in codecs}
        return Batch(after, events[-1].offset, frames)

    def _broadcast(self, source: Source, batch: Batch) -> None:
        source.cursor = max(source.cursor, batch.end)
        for codec, feeds in tuple(source.codecs.items()):
            for feed in tuple(feeds):
                if not feed.open or feed.catching_up or feed.cursor >= batch.end:
                    continue
                if feed.cursor == batch.start and codec in batch.frames:
                    self._take(feed, batch)
                else:
                    feed.catching_up = True
                    self._spawn(self._catch_up(feed))

    def _take(self, feed: Feed, batch: Batch) -> None:
        """Offer a batch that continues the feed's cursor."""
        feed.cursor = batch.end
        frames = batch.frames[feed.codec]
        if frames is None:
            feed.send_queue.answer(encode({"op": "reset", "id": feed.id}))
            self.unfollow(feed)
        elif not all(feed.send_queue.offer(frame) for frame in frames):
            self._lagged(feed.send_queue)

    def _lagged(self, send_queue: SendQueue) -> None:
        send_queue.clear()
        for feed in tuple(send_queue.feeds.values()):
            send_queue.answer(
                encode({"op": "lagged", "stream": feed.source.stream.path, "codec": feed.codec})
            )
            self.unfollow(feed)

    # -- polling

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(conf.poll_seconds)
            if self._sources:
                await asyncio.wait({self._spawn(self.poll(tuple(self._sources)))})
            if self._expected:
                await asyncio.wait({self._spawn(self._seek())})

    async def poll(self, asked: Sequence[int]) -> None:
        """Look for what no hint told, in one query for all streams asked for."""
        try:
            heads = await self.run(api.heads, asked)
        except DatabaseError as error:
            log.warning("heads_not_read", error=str(error))
            return
        for ident in asked:
            if (source := self._sources.get(ident)) is None:
                continue
            if ident in heads:
                self._advance(source, heads[ident])
            else:
                self.drop(source.feeds(), api.StreamNotFound())

    def drop(self, feeds: Iterable[Feed], reason: Exception) -> None:
        """End feeds and say why."""
        for feed in feeds:
            feed.send_queue.answer(encode(refusal(reason, {"id": feed.id})))
            self.unfollow(feed)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("live_task_failed", error=repr(error), exc_info=error)


def _at_once(call: Callable[[], T]) -> T:
    with budget.at_once():
        return call()


def _as_stored(event: Event) -> Event:
    """What a read would return: a writer's value may hold what JSON turns into something else."""
    old = None if event.old is None else orjson.loads(orjson.dumps(event.old))
    return replace(event, value=orjson.loads(orjson.dumps(event.value)), old=old)
