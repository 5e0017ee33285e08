"""Codecs and their frames; the hub's beginning and end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest

from shared_state.core.types import Event, Provenance, StreamInfo, format_offset
from shared_state.html import changes
from shared_state.live import codecs, session
from shared_state.live.hub import Hub
from shared_state.live.send_queue import SendQueue
from tests.shared_state.live.feeding import (
    CODEC,
    a_codec,
    append,
    every_event,
    frames_until,
    make_stream,
    shown,
)

STREAM = StreamInfo(7, "/room/1", "entity", "user:ada", None, 0, 0, False, False, {})


@pytest.fixture(autouse=True)
async def _stopped() -> AsyncIterator[None]:
    yield
    await session.stop()


def events(first: int, last: int) -> list[Event]:
    from django.utils import timezone

    return [
        Event(7, offset, "note", str(offset), "insert", {"n": offset}, timezone.now(), Provenance("user:ada"))
        for offset in range(first, last + 1)
    ]


def rendered(renderer: codecs.Codec, after: int, last: int) -> list[dict[str, Any]]:
    with a_codec(renderer) as name:
        return [
            orjson.loads(frame)
            for frame in codecs.encode_events(name, STREAM, after, events(after + 1, last)) or []
        ]


def test_two_codecs_of_one_name_are_refused_and_both_are_named() -> None:
    with a_codec(), pytest.raises(ValueError, match=r"two codecs 'every-event'.*every_event.*lambda"):
        codecs.codec(CODEC)(lambda stream, events: [])


def test_registering_the_same_codec_twice_is_harmless() -> None:
    with a_codec():
        codecs.codec(CODEC)(every_event)


def test_changes_are_sent_as_short_lists() -> None:
    def three(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        return [changes.Put("a", "log", "01", "<p>", False), changes.Text("b", "more", 4), changes.Drop("c")]

    assert rendered(three, 0, 1) == [
        {
            "op": "patch",
            "stream": "/room/1",
            "codec": CODEC,
            "cursor": format_offset(1),
            "changes": [["put", "a", "log", "01", "<p>", False], ["text", "b", "more", 4], ["drop", "c"]],
        }
    ]


def test_many_large_events_become_several_frames_each_with_its_own_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codecs, "FRAME_CHARACTERS", 1000)

    def wordy(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        return [changes.Put(f"event-{event.offset}", "log", "", "x" * 300) for event in events]

    frames = rendered(wordy, 0, 8)

    assert shown(frames) == list(range(1, 9))
    assert len(frames) > 1
    for frame in frames:
        assert shown([frame])[-1] == int(frame["cursor"].split("_")[1])


def test_one_event_is_never_split() -> None:
    assert len(rendered(lambda stream, events: [changes.Put("a", "", "", "x" * 300_000)], 0, 1)) == 1


def test_what_a_view_does_not_show_is_not_sent() -> None:
    assert rendered(lambda stream, events: [], 0, 99) == []


def test_after_many_silent_events_the_cursor_is_sent_all_the_same() -> None:
    [frame] = rendered(lambda stream, events: [], 99, 101)
    assert (frame["cursor"], frame["changes"]) == (format_offset(101), [])


def test_a_view_that_fails_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        raise LookupError("a template is missing")

    with a_codec(broken) as name:
        assert codecs.encode_events(name, STREAM, 0, events(1, 1)) is None


async def test_the_first_follower_starts_the_hub() -> None:
    with a_codec():
        stream = await make_stream()
        send_queue = SendQueue()
        session.hub().follow(send_queue, 1, stream, CODEC, 0)
        assert shown(await frames_until(send_queue, await append(stream))) == [1]


async def test_starting_twice_is_starting_once() -> None:
    await session.start()
    first = session.hub()
    await session.start()
    assert session.hub() is first


async def test_stopping_what_was_never_started_is_no_fault() -> None:
    await session.stop()
    await session.stop()


async def test_it_can_start_again_after_it_stopped() -> None:
    await session.start()
    first = session.hub()
    await session.stop()
    await session.start()
    assert session.hub() is not first


def test_a_hub_whose_loop_is_gone_is_replaced() -> None:
    async def a_hub() -> Hub:
        return session.hub()

    first, second = asyncio.run(a_hub()), asyncio.run(a_hub())
    assert first is not second
