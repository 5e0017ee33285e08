"""The hub when something was missed: lost hints, long absences, failing codecs, sockets that are gone."""

import asyncio
import itertools
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from shared_state import api
from shared_state.core.types import Event, Hint, NewEvent, StreamInfo
from shared_state.html import changes
from shared_state.live.hub import Hub
from shared_state.live.send_queue import SendQueue
from shared_state.models import Stream
from tests.shared_state.live.feeding import (
    ADA,
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


@pytest.fixture
def _quick_polls(settings: Settings) -> None:
    settings.SHARED_STATE = {"POLL_SECONDS": 0.05}


@pytest.mark.usefixtures("_quick_polls")
async def test_a_lost_hint_is_covered_by_the_poll(far_hub: FarHub) -> None:
    stream = await make_stream()
    [send_queue] = follow_all(far_hub, stream, 1)
    await settled(far_hub)

    head = await append(stream, 2)

    assert shown(await frames_until(send_queue, head)) == [1, 2]


async def test_one_poll_is_one_query_for_all_streams(
    far_hub: FarHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    heads = api.heads

    def remember(ids: Sequence[int]) -> dict[int, int]:
        asked.append(list(ids))
        return heads(ids)

    monkeypatch.setattr(api, "heads", remember)
    streams = [await make_stream() for _ in range(5)]
    for stream in streams:
        follow_all(far_hub, stream, 1)

    await far_hub.poll([stream.id for stream in streams])

    # A layer that has just let us in is asked for a stream at a time; that is no poll.
    assert [ids for ids in asked if len(ids) > 1] == [[stream.id for stream in streams]]


@pytest.mark.parametrize("cursor", [0, 11])
async def test_who_is_too_far_behind_or_ahead_is_refused(hub: Hub, settings: Settings, cursor: int) -> None:
    settings.SHARED_STATE = {"CATCH_UP_LIMIT": 5}
    stream = await make_stream()
    head = await append(stream, 10)

    assert not hub.follow(SendQueue(), 1, replace(stream, head=head), CODEC, cursor)
    assert hub.follow(SendQueue(), 1, replace(stream, head=head), CODEC, 5)


async def test_more_than_one_read_takes_is_read_in_several(hub: Hub, settings: Settings) -> None:
    stream = await make_stream()
    send_queue = SendQueue()
    head = await append(stream, 25)
    settings.SHARED_STATE = {"CATCH_UP_LIMIT": 10}

    # As read before the last twenty-five were appended: no hint will tell of them.
    hub.follow(send_queue, 1, stream, CODEC, 0)

    assert shown(await frames_until(send_queue, head)) == list(range(1, 26))


async def test_who_follows_with_an_old_head_catches_up_with_those_who_were_there(
    hub: Hub, settings: Settings
) -> None:
    stream = await make_stream()
    [first] = follow_all(hub, stream, 1)
    head = await append(stream, 25)
    await frames_until(first, head)
    settings.SHARED_STATE = {"CATCH_UP_LIMIT": 10}
    late = SendQueue()

    hub.follow(late, 1, stream, CODEC, 0)  # `stream` was read before there was anything

    assert shown(await frames_until(late, head)) == list(range(1, 26))


async def test_what_is_shown_to_the_others_during_a_catch_up_is_not_missed(hub: Hub) -> None:
    stream = await make_stream()
    reading, go_on = threading.Event(), threading.Event()
    go_on.set()

    def slow(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        reading.set()
        if events[0].offset == 1:
            assert go_on.wait(10)
        return every_event(stream, events)

    with a_codec(slow, "slow"):
        [there] = follow_all(hub, stream, 1, "slow")
        await frames_until(there, await append(stream))
        await settled(hub)
        go_on.clear()
        reading.clear()
        late = SendQueue()
        hub.follow(late, 1, replace(stream, head=1), "slow", 0)
        await asyncio.to_thread(reading.wait, 10)
        await frames_until(there, await append(stream))
        go_on.set()
        assert shown(await frames_until(late, 2)) == [1, 2]


async def test_what_is_committed_after_the_first_look_is_not_missed(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await make_stream()
    read = api.read
    reading, go_on = threading.Event(), threading.Event()

    def slow_read(*args: Any) -> list[Event]:
        found = read(*args)
        reading.set()
        assert go_on.wait(10)
        return found

    monkeypatch.setattr(api, "read", slow_read)
    [send_queue] = follow_all(hub, stream, 1)
    await asyncio.to_thread(reading.wait, 10)
    head = await append(stream)
    await drained(hub)
    go_on.set()

    assert shown(await frames_until(send_queue, head)) == [head]


async def test_what_another_process_appended_in_between_is_read(far_hub: FarHub) -> None:
    stream = await make_stream()
    [send_queue] = follow_all(far_hub, stream, 1)
    await settled(far_hub)
    await append(stream, 5)
    events = await database(api.read)(stream.id)

    for event in (events[0], events[2], events[4]):
        far_hub.far_bus.publish([Hint(stream.id, event.offset)], [], [event])

    assert shown(await frames_until(send_queue, 5)) == [1, 2, 3, 4, 5]


async def test_a_view_that_fails_makes_its_clients_reload_and_no_others(hub: Hub) -> None:
    stream = await make_stream()

    def broken(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        raise ValueError("a template is missing")

    with a_codec(broken, "broken"):
        [bad], [good] = follow_all(hub, stream, 1, "broken"), follow_all(hub, stream, 1)
        await settled(hub)
        head = await append(stream)
        assert await bad.get() == '{"op":"reset","id":1}'
    assert shown(await frames_until(good, head)) == [head]
    assert bad.feeds == {}


async def test_feeds_of_a_stream_that_was_deleted_end(far_hub: FarHub) -> None:
    stream = await make_stream()
    [send_queue] = follow_all(far_hub, stream, 1)
    await settled(far_hub)
    await database(Stream.objects.filter(pk=stream.id).delete)()

    await far_hub.poll([stream.id])

    assert '"stream_not_found"' in str(await send_queue.get())
    assert far_hub._sources == {}


async def test_what_is_handed_over_is_shown_as_it_is_stored(hub: Hub) -> None:
    stream = await make_stream()
    seen: list[Event] = []
    value = {"n": 1, "pair": (1, 2), "when": datetime(2026, 1, 2, tzinfo=UTC)}

    def remember(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        seen.extend(events)
        return every_event(stream, events)

    with a_codec(remember, "remember"):
        [send_queue] = follow_all(hub, stream, 1, "remember")
        await settled(hub)
        event = NewEvent("note", "a", value)
        [appended] = await api.append(stream.id, [event], provenance=ADA)
        await frames_until(send_queue, appended.offset)
    assert seen == await database(api.read)(stream.id)


async def test_following_again_replaces_the_feed(hub: Hub) -> None:
    stream = await make_stream()
    send_queue = SendQueue()
    for ident in (1, 2):
        hub.follow(send_queue, ident, stream, CODEC, 0)

    head = await append(stream)

    assert shown(await frames_until(send_queue, head)) == [head]
    assert [feed.id for feed in send_queue.feeds.values()] == [2]


async def test_nothing_is_left_of_a_socket_that_went(hub: Hub) -> None:
    streams = [await make_stream() for _ in range(3)]
    send_queue = SendQueue()
    for ident, stream in enumerate(streams):
        hub.follow(send_queue, ident, stream, CODEC, 0)

    hub.leave(send_queue)
    await settled(hub)

    assert (hub._sources, send_queue.feeds, hub._send_queues) == ({}, {}, set())


async def test_answers_are_kept_when_the_shared_frames_are_thrown_away() -> None:
    send_queue = SendQueue(2)
    send_queue.answer("answer")
    assert [send_queue.offer("frame") for _ in range(3)] == [True, True, False]

    send_queue.clear()

    assert [await send_queue.get(), len(send_queue)] == ["answer", 0]


async def test_who_asks_without_reading_has_to_wait() -> None:
    send_queue = SendQueue()
    for number in itertools.count():
        send_queue.answer(str(number))
        if len(send_queue) == 64:
            break
    asking = asyncio.ensure_future(send_queue.room())
    await asyncio.sleep(0)
    assert not asking.done()

    await send_queue.get()

    await asyncio.wait_for(asking, 5)
