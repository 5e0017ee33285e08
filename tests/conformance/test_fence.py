"""Fencing: who lost the lease is refused, at the commit and not a moment before or after."""

import asyncio
import itertools
from typing import Any

import pytest

from shared_state import api
from shared_state.core.types import Fence, StreamInfo
from shared_state.exceptions import StaleEpoch
from shared_state.write.unit import Unit
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

WAYS = pytest.mark.parametrize("way", [plainly, append])


def take(stream: StreamInfo) -> Fence:
    """Become the one who may write."""
    epoch = do(lambda unit: unit.change_stream(stream.id, epoch=unit.stream(stream.id).epoch + 1)).epoch
    return Fence(stream.id, epoch)


@WAYS
def test_the_holder_may_write(way: Any) -> None:
    stream = make_stream()

    way(stream, note(), fence=take(stream))

    assert len(everything(stream)) == 1


@WAYS
def test_who_lost_the_lease_is_refused(way: Any) -> None:
    stream = make_stream()
    lost, held = take(stream), take(stream)

    with pytest.raises(StaleEpoch, match=f"{stream.path} is at epoch 2, this writer held 1"):
        way(stream, note(), fence=lost)
    way(stream, note(), fence=held)

    assert len(everything(stream)) == 1


@WAYS
def test_a_repetition_needs_the_lease_too(way: Any) -> None:
    stream = make_stream()
    lost = take(stream)
    way(stream, note(client_key="k"), fence=lost)
    take(stream)

    with pytest.raises(StaleEpoch):
        way(stream, note(client_key="k"), fence=lost)


@WAYS
def test_a_fence_covers_writes_to_other_streams(way: Any) -> None:
    mine, shared = make_stream(), make_stream()
    lost = take(mine)

    way(shared, note(), fence=lost)
    take(mine)
    with pytest.raises(StaleEpoch):
        way(shared, note(), fence=lost)

    assert len(everything(shared)) == 1


def test_without_a_fence_anybody_may_write() -> None:
    stream = make_stream()
    take(stream)

    plainly(stream, note())

    assert len(everything(stream)) == 1


@WAYS
def test_a_fence_on_a_stream_that_is_gone_holds_nothing(way: Any) -> None:
    stream = make_stream()

    with pytest.raises(StaleEpoch):
        way(stream, note(), fence=Fence(10**9, 1))

    assert everything(stream) == []


def test_a_lease_taken_in_the_same_batch_counts_from_there_on() -> None:
    stream = make_stream()
    held = take(stream)

    def take_over(unit: Unit) -> None:
        unit.change_stream(stream.id, epoch=held.epoch + 1)

    async def race() -> Any:
        return await asyncio.gather(
            api.append(stream.id, [note("before")], provenance=ADA, fence=held),
            api.submit(take_over, provenance=ADA),
            api.append(stream.id, [note("after")], provenance=ADA, fence=held),
            return_exceptions=True,
        )

    before, _, after = run(race())

    assert before[0].offset == 1
    assert isinstance(after, StaleEpoch)
    assert [event.key for event in everything(stream)] == ["before"]


def write_as_long_as_it_may(stream: int, epoch: int) -> int:
    """A worker in another process, until it is refused. Answers how often it was not."""
    for number in itertools.count():
        event = note(f"worker-{number}")
        try:
            do(lambda unit, event=event: unit.append(stream, [event]), fence=Fence(stream, epoch))  # type: ignore[misc]
        except StaleEpoch:
            return number
    raise AssertionError


def test_another_process_is_refused_from_the_moment_the_lease_is_gone() -> None:
    stream = make_stream()
    held = take(stream)

    with other_process(write_as_long_as_it_may, stream=stream.id, epoch=held.epoch) as worker:
        worker.go()
        while not everything(stream):
            pass

        def take_over(unit: Unit) -> None:
            unit.append(stream.id, [note("taken")])
            unit.change_stream(stream.id, epoch=held.epoch + 1)

        do(take_over)
        written = worker.result()

    keys = [event.key for event in everything(stream)]
    assert keys == [*(f"worker-{n}" for n in range(written)), "taken"]
