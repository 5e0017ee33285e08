"""Live updates between processes: two buses and two hubs that share a database and a Redis only."""

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
import redis
from pytest_django import Settings

from shared_state import api
from shared_state.core.types import Hint, StreamInfo, format_offset
from shared_state.live import codecs, session
from shared_state.live.hub import Hub
from shared_state.live.send_queue import SendQueue
from shared_state.notify import bus
from shared_state.notify.bus import Bus
from tests.shared_state.live.feeding import CODEC, a_codec, append, database, frames_until, make_stream, shown
from tests.support import servers
from tests.support.waiting import wait_until

NEVER = 3600.0  # seconds between polls: what arrives, arrived by a hint


@pytest.fixture(autouse=True)
def _redis_layer(settings: Settings, redis_url: str) -> Iterator[None]:
    use_redis(settings, redis_url)
    with a_codec():
        yield
    bus.stop()


def use_redis(settings: Settings, url: str) -> None:
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": {"hosts": [url]}}}
    settings.SHARED_STATE = {"POLL_SECONDS": NEVER}


@pytest.fixture
def far_bus() -> Iterator[Bus]:
    made = Bus()
    yield made
    made.stop()


@pytest.fixture
async def far_hub(far_bus: Bus) -> AsyncIterator[Hub]:
    made = Hub(codecs.encode_events, far_bus)
    yield made
    await made.stop()


@pytest.fixture
async def near_hub() -> AsyncIterator[Hub]:
    yield session.hub()
    await session.stop()


class Ear:
    """Remembers what a bus said, and lets a test wait for it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, hints: Sequence[Hint], more: Sequence[Any]) -> None:
        with self._changed:
            self.heard += [*hints, *more]
            self._changed.notify_all()

    def wait_for(self, *wanted: Any) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: set(wanted) <= set(self.heard), 10), self.heard


async def follow_now(hub: Hub, stream: StreamInfo) -> SendQueue:
    """A feed that other processes' hints can reach."""
    send_queue = SendQueue()
    assert hub.follow(send_queue, 1, stream, CODEC, stream.head)
    joined = hub._bus.join(stream.id)
    await asyncio.wrap_future(joined)
    return send_queue


async def test_what_one_process_appends_the_other_shows(far_hub: Hub) -> None:
    stream = await make_stream()
    send_queue = await follow_now(far_hub, stream)

    head = await append(stream, 2)

    assert shown(await frames_until(send_queue, head)) == [1, 2]


async def test_what_was_appended_before_the_subscription_is_found(far_hub: Hub) -> None:
    """Nobody waits for Redis before the first look, so there is a second one once it answers."""
    stream = await make_stream()
    send_queue = SendQueue()
    assert far_hub.follow(send_queue, 1, stream, CODEC, 0)

    head = await append(stream)

    assert shown(await frames_until(send_queue, head)) == [1]


@pytest.mark.parametrize("seed", range(3))
async def test_two_processes_show_every_event_once_while_readers_come_and_go(
    near_hub: Hub, far_hub: Hub, seed: int
) -> None:
    chance = random.Random(seed)
    stream = await make_stream()
    total = 200

    async def write() -> None:
        for _ in range(total):
            await append(stream)

    async def read(where: Hub) -> list[int]:
        seen: list[int] = []
        while len(seen) < total:
            send_queue = SendQueue()
            info = await database(api.get_stream)(stream.path)
            assert where.follow(send_queue, 1, info, CODEC, seen[-1] if seen else 0)
            seen += shown(await frames_until(send_queue, min(total, len(seen) + chance.randint(1, 60))))
            where.leave(send_queue)
        return seen

    _, *seen = await asyncio.gather(
        write(), *[read(where) for where in (near_hub, far_hub) for _ in range(4)]
    )

    assert seen == [list(range(1, total + 1))] * 8


def test_a_process_hears_only_of_streams_that_it_follows(far_bus: Bus) -> None:
    ear = Ear()
    far_bus.watch(ear)
    far_bus.join(7).result(10)

    bus.publish([Hint(8, 1), Hint(7, 42)])

    ear.wait_for(Hint(7, 42))
    assert ear.heard == [Hint(7, 42)]


def test_after_leaving_a_stream_its_hints_stop(far_bus: Bus) -> None:
    ear = Ear()
    far_bus.watch(ear)
    for stream in (7, 8):
        far_bus.join(stream).result(10)
    far_bus.leave(7)
    far_bus.join(9).result(10)  # its answer says that what was asked before is done

    bus.publish([Hint(7, 1), Hint(8, 1)])

    ear.wait_for(Hint(8, 1))
    assert Hint(7, 1) not in ear.heard


def test_workers_of_all_processes_hear_a_nudge_once(far_bus: Bus) -> None:
    near, far = Ear(), Ear()
    bus.listen(near)
    far_bus.listen(far)
    far_bus._join("workers").result(10)
    bus.default()._join("workers").result(10)

    bus.publish([], ["wake"])
    bus.publish([], ["signal:7"])

    far.wait_for("wake", "signal:7")
    far_bus.publish([], ["done"])
    near.wait_for("done")
    assert near.heard == ["wake", "signal:7", "done"]
    assert far.heard == ["wake", "signal:7", "done"]
    bus.unlisten(near)


def test_a_nudge_goes_to_one_other_process_that_has_room(far_bus: Bus) -> None:
    full, free = Ear(), Ear()
    bus.listen(full, lambda: 0)
    far_bus.listen(free, lambda: 5)
    rooms = bus.default()._link._rooms  # type: ignore[union-attr]
    wait_until(lambda: rooms.choose() is not None, "the other process to say that it has room")

    bus.publish([], ["wake"])

    free.wait_for("wake")
    assert full.heard == []
    bus.unlisten(full)
    far_bus.unlisten(free)


def test_hints_go_on_after_redis_dropped_its_connections(far_bus: Bus, redis_url: str) -> None:
    ear = Ear()
    far_bus.watch(ear)
    far_bus.join(7).result(10)
    bus.publish([Hint(7, 1)])
    ear.wait_for(Hint(7, 1))

    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    publish_until_heard(ear, far_bus)


def publish_until_heard(ear: Ear, far_bus: Bus) -> None:
    """Hints may be lost while a connection is made anew; they may not stay lost."""
    deadline = time.monotonic() + 10
    head = 100
    while Hint(7, head) not in ear.heard:
        assert time.monotonic() < deadline, "no hint came through any more"
        head += 1
        bus.publish([Hint(7, head)])
        with suppress(AssertionError), ear._changed:
            ear._changed.wait(0.1)


@pytest.fixture
def stalled_redis(settings: Settings) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """A Redis of this test's own that can be stopped from answering, and made to go on."""
    with servers.redis() as url:
        use_redis(settings, url)
        with redis.Redis.from_url(url) as client:
            process = int(client.info()["process_id"])
        try:
            yield lambda: os.kill(process, signal.SIGSTOP), lambda: os.kill(process, signal.SIGCONT)
        finally:
            os.kill(process, signal.SIGCONT)
            bus.stop()


def test_a_redis_that_does_not_answer_costs_the_writer_nothing(
    stalled_redis: tuple[Callable[[], None], Callable[[], None]], far_bus: Bus
) -> None:
    stop, go_on = stalled_redis
    ear = Ear()
    far_bus.watch(ear)
    far_bus.join(7).result(10)
    bus.publish([Hint(7, 1)])
    ear.wait_for(Hint(7, 1))
    stop()

    began = time.monotonic()
    for head in range(2, 10_002):
        bus.publish([Hint(7, head)], ["wake"])

    assert time.monotonic() - began < 2
    link = bus.default()._link
    assert link is not None
    assert (len(link._heads), len(link._for_one)) <= (1, 1), "hints that wait are merged"
    go_on()
    ear.wait_for(Hint(7, 10_001))
    far_bus.stop()


async def test_while_redis_is_away_polls_bring_what_is_new(
    stalled_redis: tuple[Callable[[], None], Callable[[], None]], far_hub: Hub
) -> None:
    stop, _ = stalled_redis
    stream = await make_stream()
    send_queue = await follow_now(far_hub, stream)
    stop()

    head = await append(stream)
    await far_hub.poll([stream.id])

    assert shown(await frames_until(send_queue, head)) == [1]


async def test_a_redis_that_is_not_there_delays_no_page(
    near_hub: Hub, settings: Settings, tmp_path: Any
) -> None:
    use_redis(settings, f"unix://{tmp_path}/no-redis.sock")
    stream = await make_stream()
    send_queue = SendQueue()

    began = time.monotonic()
    near_hub.follow(send_queue, 1, stream, CODEC, 0)
    head = await append(stream)

    frames = await frames_until(send_queue, head)
    assert frames[-1]["cursor"] == format_offset(head)
    assert time.monotonic() - began < 1
