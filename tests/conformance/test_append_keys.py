"""Client-made keys: a send that is repeated, for whatever reason, is done once."""

import asyncio

import pytest

from shared_state import api
from shared_state.core.types import Event
from tests.conformance.writing import (
    ADA,
    append,
    do,
    everything,
    make_stream,
    note,
    other_process,
    plainly,
    run,
)

TIMES = 20


async def send(stream: int, times: int = TIMES) -> list[tuple[int, bool]]:
    """The same message, many times at once. Answers offsets, and which were repetitions."""
    calls = [
        api.append(stream, [note(f"from-{n}", client_key="the-key", n=n)], provenance=ADA)
        for n in range(times)
    ]
    return [(event.offset, event.repeated) for (event,) in await asyncio.gather(*calls)]


def send_from_a_process(streams: list[int]) -> list[list[tuple[int, bool]]]:
    """What another process does in these tests."""
    return [run(send(stream)) for stream in streams]


@pytest.mark.parametrize("way", [plainly, append])
def test_the_second_one_is_answered_with_the_first(way: object) -> None:
    stream = make_stream()

    (first,) = way(stream, note("a", client_key="k", n=1))  # type: ignore[operator]
    (second,) = way(stream, note("b", client_key="k", n=2))  # type: ignore[operator]

    assert not first.repeated
    assert second.repeated
    assert (second.offset, second.key, second.value) == (1, "a", {"n": 1})
    assert second.timestamp == first.timestamp
    assert len(everything(stream)) == 1


def test_a_repetition_says_what_happened_then_not_what_is_now() -> None:
    stream = make_stream()
    sent = note("a", client_key="k", n=1)
    plainly(stream, sent)
    plainly(stream, note("a", "update", n=2))
    plainly(stream, note("a", "delete", value=None))

    (again,) = plainly(stream, sent)

    assert (again.offset, again.operation, again.value) == (1, "insert", {"n": 1})
    assert api.get_stream_by_id(stream.id).head == 3


def test_a_key_counts_in_its_stream_alone() -> None:
    one, two = make_stream(), make_stream()

    answers = [*plainly(one, note(client_key="k")), *plainly(two, note(client_key="k"))]

    assert [event.repeated for event in answers] == [False, False]


def test_within_one_append_a_key_counts_once() -> None:
    stream = make_stream()

    answers = plainly(stream, note("a", client_key="k"), note("b"), note("c", client_key="k"))

    assert [(event.offset, event.repeated) for event in answers] == [(1, False), (2, False), (1, True)]
    assert [event.key for event in everything(stream)] == ["a", "b"]


def test_many_at_once_are_one() -> None:
    stream = make_stream()

    answers = run(send(stream.id))

    assert {offset for offset, _ in answers} == {1}
    assert [repeated for _, repeated in answers].count(False) == 1
    assert len(everything(stream)) == 1


def test_many_at_once_in_two_processes_are_one() -> None:
    streams = [make_stream() for _ in range(5)]

    with other_process(send_from_a_process, streams=[stream.id for stream in streams]) as other:
        other.go()
        here = [run(send(stream.id)) for stream in streams]
        there = other.result()

    for stream, ours, theirs in zip(streams, here, there, strict=True):
        answers = [*ours, *map(tuple, theirs)]
        assert {offset for offset, _ in answers} == {1}
        assert [repeated for _, repeated in answers].count(False) == 1
        assert len(everything(stream)) == 1


def test_a_key_that_was_undone_is_free() -> None:
    stream = make_stream()

    def fails(unit: api.Unit) -> None:
        unit.append(stream.id, [note("a", client_key="k")])
        unit.append(stream.id, [note("a", client_key="other")])

    with pytest.raises(api.RowExists):
        do(fails)
    (event,) = plainly(stream, note("b", client_key="k"))

    assert (event.offset, event.repeated) == (1, False)


def test_a_unit_can_ask_for_what_was_done_before() -> None:
    stream = make_stream()
    (event,) = plainly(stream, note(client_key="k"))

    def ask(unit: api.Unit) -> tuple[Event | None, Event | None]:
        return unit.repeated(stream.id, "k"), unit.repeated(stream.id, "unknown")

    found, unknown = do(ask)

    assert unknown is None
    assert found is not None
    assert (found.offset, found.repeated) == (event.offset, True)
