"""The bus: quick, deaf to failures, and only ever a hint."""

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pytest_django import Settings

from shared_state.core.types import Hint
from shared_state.notify.bus import Bus
from shared_state.notify.room import STALE_SECONDS, Rooms


@pytest.fixture
def bus() -> Iterator[Bus]:
    made = Bus()
    yield made
    made.stop()


def test_a_listener_is_called_before_publish_returns_in_the_same_thread(bus: Bus) -> None:
    heard = []
    bus.listen(lambda hints, nudges: heard.append((list(hints), list(nudges), threading.get_ident())))

    bus.publish([Hint(7, 42)], ["wake"])

    assert heard == [([Hint(7, 42)], ["wake"], threading.get_ident())]


def test_a_watcher_gets_the_events_themselves(bus: Bus) -> None:
    heard = []
    bus.watch(lambda hints, events: heard.append((list(hints), list(events))))
    event: Any = object()

    bus.publish([Hint(7, 42)], [], [event])

    assert heard == [([Hint(7, 42)], [event])]


def broken(*said: Any) -> None:
    raise LookupError("a fault in a listener")


def test_a_listener_that_fails_harms_neither_the_writer_nor_the_others(bus: Bus) -> None:
    heard = []
    bus.watch(broken)
    bus.listen(broken)
    bus.listen(lambda hints, nudges: heard.append(hints))

    bus.publish([Hint(7, 42)])

    assert heard == [[Hint(7, 42)]]


def test_who_stopped_listening_hears_nothing(bus: Bus) -> None:
    heard: list[Any] = []

    def hear(*said: Any) -> None:
        heard.append(said)

    bus.listen(hear)
    bus.watch(hear)
    bus.unlisten(hear)
    bus.unwatch(hear)

    bus.publish([Hint(7, 42)])

    assert heard == []


def test_a_layer_that_is_misconfigured_does_not_reach_the_writer(bus: Bus, settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "no.such.Layer"}}
    heard = []
    bus.watch(lambda hints, events: heard.append(hints))

    bus.publish([Hint(7, 42)])

    assert heard == [[Hint(7, 42)]]


def test_one_process_alone_needs_no_thread(bus: Bus, settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    bus.listen(lambda hints, nudges: None)
    bus.publish([Hint(7, 42)], ["wake"])

    assert bus.join(7).done()
    assert bus._link is None


class Worker:
    """A listener with room for so much."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.heard: list[str] = []

    def hear(self, hints: Sequence[Hint], nudges: Sequence[str]) -> None:
        self.heard += nudges

    def listen(self, bus: Bus) -> "Worker":
        bus.listen(self.hear, lambda: self.room)
        return self


def test_a_nudge_wakes_one_worker_with_room_and_a_signal_all(bus: Bus) -> None:
    full, some, more = Worker(0).listen(bus), Worker(1).listen(bus), Worker(2).listen(bus)

    bus.publish([], ["wake", "signal:7:1"])

    assert (full.heard, some.heard, more.heard) == (["signal:7:1"], ["signal:7:1"], ["wake", "signal:7:1"])


def test_who_takes_work_says_how_much(bus: Bus) -> None:
    assert bus.room() is None
    Worker(-1).listen(bus), Worker(2).listen(bus), Worker(3).listen(bus)

    assert bus.room() == 5


def test_rooms_are_used_up_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = Rooms()
    rooms.hear("a", "channel-a", 2)
    rooms.hear("b", "channel-b", 0)
    chosen = [rooms.choose() for _ in range(3)]
    rooms.hear("b", "channel-b", None)
    late = time.monotonic() + STALE_SECONDS + 1
    known = rooms.anybody
    monkeypatch.setattr(time, "monotonic", lambda: late)

    assert chosen == ["channel-a", "channel-a", None]
    assert (known, rooms.anybody, rooms.choose()) == (True, False, None)
