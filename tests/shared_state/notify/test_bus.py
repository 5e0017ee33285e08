"""The bus: quick, deaf to failures, and only ever a hint."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from shared_state.core.types import Hint
from shared_state.notify.bus import Bus


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
