"""The one signal: sent inside the transaction, only for streams that somebody observes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from shared_state import api
from shared_state.core.types import Event, NewEvent, StreamInfo
from shared_state.write.unit import Unit
from tests.conformance.writing import append, do, everything, make_stream, note, plainly

WAYS = pytest.mark.parametrize("way", [plainly, append])


@contextmanager
def receiving(receiver: Any) -> Iterator[None]:
    """Listen for a while."""
    api.events_appended.connect(receiver, weak=False)
    try:
        yield
    finally:
        api.events_appended.disconnect(receiver)


def observed_stream() -> StreamInfo:
    stream = make_stream()
    return do(lambda unit: unit.change_stream(stream.id, observed=True))


@WAYS
def test_what_is_appended_to_an_observed_stream_is_told_once(way: Any) -> None:
    stream = observed_stream()
    told: list[list[Event]] = []

    def receiver(unit: Unit, events: list[Event], **_: Any) -> None:
        assert connection.in_atomic_block
        assert unit.stream(stream.id).head == 2
        told.append(events)

    with receiving(receiver):
        answer = way(stream, note(), note())

    assert told == [answer]


@WAYS
def test_what_nobody_observes_is_not_told(way: Any) -> None:
    stream = make_stream()

    def receiver(**_: Any) -> None:
        raise AssertionError("told")

    with receiving(receiver):
        way(stream, note())

    assert len(everything(stream)) == 1


def test_a_unit_with_several_streams_tells_of_the_observed_ones() -> None:
    quiet, loud = make_stream(), observed_stream()
    told: list[Event] = []

    def both(unit: Unit) -> list[Event]:
        unit.append(quiet.id, [note()])
        return unit.append(loud.id, [note()])

    with receiving(lambda events, **_: told.extend(events)):
        answer = do(both)

    assert told == answer


@WAYS
def test_a_receiver_writes_in_the_same_transaction(way: Any) -> None:
    stream, other = observed_stream(), make_stream()

    def receiver(unit: Unit, events: list[Event], **_: Any) -> None:
        Group.objects.create(name=f"woken by {events[0].key}")
        assert unit.row(stream.id, "note", "a") is not None
        unit.append(other.id, [NewEvent("wake", events[0].key, {})])

    with receiving(receiver):
        way(stream, note("a"))

    assert [event.key for event in everything(other)] == ["a"]
    assert Group.objects.get().name == "woken by a"


@WAYS
def test_a_receiver_that_raises_undoes_the_unit(way: Any) -> None:
    stream, other = observed_stream(), make_stream()

    def receiver(unit: Unit, **_: Any) -> None:
        unit.append(other.id, [note()])
        raise LookupError("no observer")

    with receiving(receiver), pytest.raises(LookupError, match="no observer"):
        way(stream, note("a"))

    assert everything(stream) == everything(other) == []
    assert api.row(stream.id, "note", "a") is None


def test_a_stream_is_observed_from_the_unit_on_that_says_so() -> None:
    stream = make_stream()
    told: list[str] = []

    def observe(unit: Unit) -> None:
        unit.append(stream.id, [note("within")])
        unit.change_stream(stream.id, observed=True)

    with receiving(lambda events, **_: told.extend(event.key for event in events)):
        plainly(stream, note("before"))
        do(observe)
        plainly(stream, note("after"))

    assert told == ["within", "after"]


def test_a_repetition_is_not_told_again() -> None:
    stream = observed_stream()
    told: list[Event] = []

    with receiving(lambda events, **_: told.extend(events)):
        plainly(stream, note("a", client_key="k"))
        plainly(stream, note("a", client_key="k"))

    assert len(told) == 1
