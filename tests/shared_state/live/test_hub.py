"""The hub: nothing missing, nothing twice, one read and one render, and nobody waits for a slow socket."""

import asyncio
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared_state import api
from shared_state.core.types import Event, StreamInfo
from shared_state.html import changes
from shared_state.live.hub import RENDER_THREADS, Hub
from shared_state.live.send_queue import SendQueue
from tests.shared_state.live.feeding import (
    CODEC,
    a_codec,
    append,
    database,
    every_event,
    frames_until,
    make_stream,
    shown,
)
from tests.shared_state.live.hubs import FarHub, drained, follow_all, settled


async def test_events_arrive_in_the_order_of_their_offsets(hub: Hub) -> None:
    stream = await make_stream()
    [send_queue] = follow_all(hub, stream, 1)

    heads = await asyncio.gather(*[append(stream, 3) for _ in range(20)])

    assert shown(await frames_until(send_queue, max(heads))) == list(range(1, 61))


async def test_a_feed_starts_at_its_own_cursor(hub: Hub) -> None:
    stream = await make_stream()
    head = await append(stream, 9)
    send_queue = SendQueue()

    hub.follow(send_queue, 1, replace(stream, head=head), CODEC, 4)

    assert shown(await frames_until(send_queue, head)) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("seed", range(4))
async def test_no_event_is_missed_or_shown_twice_while_readers_come_and_go(
    hub: Hub, far_hub: FarHub, seed: int
) -> None:
    chance = random.Random(seed)
    stream = await make_stream()
    total = 300
    done = asyncio.Event()

    async def write() -> None:
        written = 0
        while written < total:
            count = min(chance.randint(1, 4), total - written)
            head = await append(stream, count)
            written += count
            if chance.random() < 0.7:  # some hints between processes are lost
                far_hub.hears(stream, head)
        done.set()

    async def read(where: Hub) -> list[int]:
        cursor, seen = 0, []
        while cursor < total:
            send_queue = SendQueue()
            info = await database(api.get_stream)(stream.path)
            assert where.follow(send_queue, 1, info, CODEC, cursor)
            target = total if done.is_set() else min(total, info.head + chance.randint(0, 30))
            if target > cursor:
                seen += shown(await frames_despite_lost_hints(send_queue, target, where, stream))
            where.leave(send_queue)
            cursor = seen[-1] if seen else 0
        return seen

    readers = [read(where) for where in (hub, far_hub) for _ in range(5)]
    _, *seen = await asyncio.gather(write(), *readers)

    assert seen == [list(range(1, total + 1))] * 10


async def frames_despite_lost_hints(
    send_queue: SendQueue, cursor: int, hub: Hub, stream: StreamInfo
) -> list[dict[str, Any]]:
    """As `frames_until`, but looking for lost hints at once instead of every two seconds."""
    waiting = asyncio.ensure_future(frames_until(send_queue, cursor))
    while not (await asyncio.wait({waiting}, timeout=0.05))[0]:
        await hub.poll([stream.id])
    return await waiting


async def test_what_is_slow_to_render_keeps_no_socket_from_its_answers(hub: Hub) -> None:
    under_way, ready = threading.Semaphore(0), threading.Event()

    def slow(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        under_way.release()
        ready.wait(10)
        return every_event(stream, events)

    with a_codec(slow, "slow"):
        streams = [await make_stream() for _ in range(RENDER_THREADS)]
        queues = [follow_all(hub, stream, 1, "slow")[0] for stream in streams]
        await settled(hub)
        heads = [await append(stream) for stream in streams]
        for _ in streams:
            assert await asyncio.to_thread(under_way.acquire, timeout=10)

        assert await hub.run(api.heads, [stream.id for stream in streams]) == {
            stream.id: head for stream, head in zip(streams, heads, strict=True)
        }
        assert [len(send_queue) for send_queue in queues] == [0] * RENDER_THREADS
        ready.set()
        for send_queue, head in zip(queues, heads, strict=True):
            assert shown(await frames_until(send_queue, head)) == [head]


async def test_fifty_sockets_cost_one_render_and_no_read(hub: Hub, counted: dict[str, int]) -> None:
    stream = await make_stream()
    queues = follow_all(hub, stream, 50, "counted")
    await settled(hub)
    counted.update(reads=0, renders=0)

    head = await append(stream)

    for send_queue in queues:
        assert shown(await frames_until(send_queue, head)) == [head]
    assert counted == {"reads": 0, "renders": 1}


async def test_fifty_sockets_of_another_process_cost_one_read_and_one_render(
    far_hub: FarHub, counted: dict[str, int]
) -> None:
    stream = await make_stream()
    queues = follow_all(far_hub, stream, 50, "counted")
    await settled(far_hub)
    counted.update(reads=0, renders=0)

    head = await append(stream)
    far_hub.hears(stream, head)

    for send_queue in queues:
        assert shown(await frames_until(send_queue, head)) == [head]
    assert counted == {"reads": 1, "renders": 1}


async def test_fifty_sockets_that_come_back_together_share_one_read(
    hub: Hub, counted: dict[str, int]
) -> None:
    stream = await make_stream()
    head = await append(stream, 5)
    counted.update(reads=0, renders=0)

    queues = [SendQueue() for _ in range(50)]
    for send_queue in queues:
        hub.follow(send_queue, 1, replace(stream, head=head), "counted", 2)

    for send_queue in queues:
        assert shown(await frames_until(send_queue, head)) == [3, 4, 5]
    assert counted == {"reads": 1, "renders": 1}


async def test_all_sockets_get_the_very_same_text(hub: Hub) -> None:
    stream = await make_stream()
    queues = follow_all(hub, stream, 3)
    await settled(hub)

    await append(stream)

    texts = [await send_queue.get() for send_queue in queues]
    assert texts[0] is texts[1] is texts[2]


async def test_each_view_of_a_stream_is_rendered_once(hub: Hub, counted: dict[str, int]) -> None:
    stream = await make_stream()
    queues = follow_all(hub, stream, 2, "counted") + follow_all(hub, stream, 2)
    await settled(hub)
    counted.update(reads=0, renders=0)

    head = await append(stream)

    for send_queue in queues:
        assert shown(await frames_until(send_queue, head)) == [head]
    assert counted == {"reads": 0, "renders": 1}


async def test_hints_that_come_during_a_read_cause_one_more(far_hub: FarHub, counted: dict[str, int]) -> None:
    stream = await make_stream()
    reading, go_on = threading.Event(), threading.Event()

    def slow(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        reading.set()
        assert go_on.wait(10)
        return every_event(stream, events)

    with a_codec(slow, "slow"):
        [send_queue] = follow_all(far_hub, stream, 1, "slow")
        await settled(far_hub)
        counted.update(reads=0)
        far_hub.hears(stream, await append(stream))
        await asyncio.to_thread(reading.wait, 10)
        for head in range(2, 22):
            await append(stream)
            far_hub.hears(stream, head)
        go_on.set()
        assert shown(await frames_until(send_queue, 21)) == list(range(1, 22))
    assert counted["reads"] == 2


async def test_a_slow_socket_is_told_to_catch_up_and_the_others_notice_nothing(hub: Hub) -> None:
    stream, quiet = await make_stream(), await make_stream()
    [slow] = follow_all(hub, stream, 1, frames=5)
    [quick] = follow_all(hub, stream, 1)
    hub.follow(slow, 2, quiet, CODEC, 0)
    await settled(hub)

    longest = 0
    for head in range(1, 41):
        await append(stream)
        longest = max(longest, len(slow))
        assert shown(await frames_until(quick, head)) == [head]

    assert longest <= 5
    frames = [await slow.get() for _ in range(len(slow))]
    assert frames == [f'{{"op":"lagged","stream":"{one.path}","codec":"{CODEC}"}}' for one in (stream, quiet)]
    assert hub.follow(slow, 1, replace(stream, head=40), CODEC, 0)
    assert shown(await frames_until(slow, 40)) == list(range(1, 41))


async def test_a_socket_is_slow_by_size_too(hub: Hub) -> None:
    stream = await make_stream()

    def large(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        return [changes.Put("large", "log", "", "x" * 1_500_000)]

    with a_codec(large, "large"):
        [send_queue] = follow_all(hub, stream, 1, "large")
        await settled(hub)
        for _ in range(4):
            await append(stream)
            await drained(hub)
    assert '"lagged"' in str(await send_queue.get())
