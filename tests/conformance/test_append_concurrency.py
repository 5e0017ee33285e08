"""Many callers, many threads, many processes: order, gaps, readers, and who is woken."""

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from django.db import connection

from shared_state import api
from shared_state.core.types import Event, Provenance
from shared_state.write.unit import Unit
from shared_state.write.writer import LARGE
from tests.conformance.writing import (
    ADA,
    append,
    do,
    everything,
    make_stream,
    note,
    offsets,
    other_process,
    plainly,
    run,
)

CALLERS = 64
EACH = 5


async def call(name: str, streams: Sequence[int], times: int = EACH, size: int = 1) -> list[tuple[int, int]]:
    """One caller: appends in turn to each stream; every third is a unit. Answers streams and offsets."""
    found: list[Event] = []
    for number in range(times):
        stream = streams[number % len(streams)]
        events = [note(f"{name}-{number}-{part}", by=name) for part in range(size)]
        if number % 3 == 2:
            found += await api.submit(
                partial(Unit.append, stream=stream, events=events), provenance=Provenance(name)
            )
        else:
            found += await api.append(stream, events, provenance=Provenance(name))
    return [(event.stream, event.offset) for event in found]


async def call_all(
    prefix: str, callers: int, streams: Sequence[int], size: int = 1
) -> list[list[tuple[int, int]]]:
    """Many callers at once."""
    return await asyncio.gather(*(call(f"user:{prefix}{n}", streams, size=size) for n in range(callers)))


def call_from_a_process(
    prefix: str, callers: int, streams: Sequence[int], size: int
) -> list[list[tuple[int, int]]]:
    """What another process does in these tests."""
    return run(call_all(prefix, callers, streams, size))


def test_64_callers_leave_no_gap_and_keep_their_order() -> None:
    streams = [make_stream() for _ in range(3)]

    answers = run(call_all("a", CALLERS, [stream.id for stream in streams]))

    for answer in answers:
        for stream in streams:
            own = [offset for place, offset in answer if place == stream.id]
            assert own == sorted(own)
    for stream in streams:
        log = everything(stream)
        assert offsets(log) == list(range(1, len(log) + 1))
        assert api.get_stream_by_id(stream.id).head == len(log)
    answered = sorted(pair for answer in answers for pair in answer)
    assert answered == sorted(
        (event.stream, event.offset) for stream in streams for event in everything(stream)
    )
    assert len(answered) == CALLERS * EACH


def test_events_of_one_append_are_neighbours() -> None:
    stream = make_stream()

    run(call_all("a", 16, [stream.id], size=3))

    log = everything(stream)
    triples = [log[at : at + 3] for at in range(0, len(log), 3)]
    assert all(len({event.provenance.writer for event in triple}) == 1 for triple in triples)
    assert all(event.key.endswith(f"-{part}") for triple in triples for part, event in enumerate(triple))


def test_two_processes_leave_no_gap_and_lose_nothing() -> None:
    streams = [make_stream().id for _ in range(4)]

    with other_process(call_from_a_process, prefix="b", callers=24, streams=streams[::-1], size=2) as other:
        other.go()
        here = run(call_all("a", 24, streams, size=2))
        there = other.result()

    answered = sorted(tuple(pair) for answer in (*here, *there) for pair in answer)
    assert len(answered) == 2 * 24 * EACH * 2
    logs = [everything(api.get_stream_by_id(stream)) for stream in streams]
    assert answered == sorted((event.stream, event.offset) for log in logs for event in log)
    for log in logs:
        assert offsets(log) == list(range(1, len(log) + 1))
        assert len({event.provenance.writer[:6] for event in log}) == 2  # both processes wrote here
    assert [api.count_rows(stream) for stream in streams] == [{"note": len(log)} for log in logs]


def test_a_reader_with_a_cursor_misses_nothing() -> None:
    stream = make_stream()
    seen: list[Event] = []
    ended = threading.Event()

    def follow() -> None:
        last = False
        while not last:
            last = ended.is_set()
            seen.extend(api.read(stream.id, seen[-1].offset if seen else 0, limit=7))
        while more := api.read(stream.id, seen[-1].offset):
            seen.extend(more)
        connection.close()

    reader = threading.Thread(target=follow)
    with other_process(call_from_a_process, prefix="b", callers=8, streams=[stream.id], size=3) as other:
        reader.start()
        other.go()
        run(call_all("a", 8, [stream.id], size=2))
        other.result()
        ended.set()
        reader.join()

    assert offsets(seen) == list(range(1, 8 * EACH * (3 + 2) + 1))
    assert seen == everything(stream)


def test_a_cursor_sees_a_commit_entirely_or_not_at_all() -> None:
    stream = make_stream()
    heads: set[int] = set()

    def look_from_outside() -> None:
        heads.add(len(api.read(stream.id)))
        connection.close()

    def look(unit: Unit) -> None:
        unit.append(stream.id, [note(), note(), note()])
        inside = threading.Thread(target=look_from_outside)
        inside.start()
        inside.join()

    do(look)

    assert heads == {0}
    assert len(api.read(stream.id)) == 3


def test_callers_in_many_loops_and_threads_are_all_answered() -> None:
    stream = make_stream()
    answers: list[Any] = []

    def loop(number: int) -> None:
        answers.append(run(call_all(f"loop{number}-", 8, [stream.id])))

    def block(number: int) -> None:
        answers.append([append(stream, note(f"block{number}-{n}")) for n in range(EACH)])
        connection.close()

    threads = [threading.Thread(target=target, args=(n,)) for n in range(3) for target in (loop, block)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 6
    assert offsets(everything(stream)) == list(range(1, 3 * 8 * EACH + 3 * EACH + 1))


def test_a_caller_that_gives_up_undoes_nothing_and_delays_nobody() -> None:
    stream = make_stream()

    async def impatient() -> Event:
        waiting = asyncio.create_task(api.append(stream.id, [note("given-up")], provenance=ADA))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return (await api.append(stream.id, [note("patient")], provenance=ADA))[0]

    assert run(impatient()).offset == 2
    assert [event.key for event in everything(stream)] == ["given-up", "patient"]


def test_a_loop_that_was_closed_delays_nobody() -> None:
    stream = make_stream()
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(api.append(stream.id, [note("abandoned")], provenance=ADA))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    plainly(stream, note("later"))

    assert [event.key for event in everything(stream)] == ["abandoned", "later"]
    abandoned._log_destroy_pending = False  # type: ignore[attr-defined]  # meant: nobody awaits it


def lock_crosswise(first: int, second: int, times: int) -> int:
    """Units that touch two streams, in the order given."""

    def both(unit: Unit) -> None:
        unit.append(first, [note(fold=False)])
        unit.append(second, [note(fold=False)])

    for _ in range(times):
        do(both)
    return times


def test_units_that_lock_in_opposite_orders_lose_nothing() -> None:
    one, two = make_stream(), make_stream()

    with other_process(lock_crosswise, first=two.id, second=one.id, times=40) as other:
        other.go()
        lock_crosswise(one.id, two.id, 40)
        assert other.result() == 40

    for stream in (one, two):
        assert offsets(everything(stream)) == list(range(1, 81))


def hold_and_want(held: int, wanted: int) -> str:
    """One stream is locked, then another, once the test says so."""
    tries = []

    def unit(unit: Unit) -> None:
        tries.append(unit.append(held, [note("there", fold=False)]))
        if len(tries) == 1:
            print("holding", flush=True)
            input()
        unit.append(wanted, [note("there", fold=False)])

    do(unit)
    return "done"


def test_a_deadlock_is_tried_again_and_beside_it_nothing_happens() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock for everything, so there is nothing to lock crosswise")
    one, two, three = make_stream(), make_stream(), make_stream()
    tries = []

    with other_process(hold_and_want, held=two.id, wanted=one.id) as other:

        def crosswise(unit: Unit) -> None:
            tries.append(unit.append(one.id, [note("here", fold=False)]))
            if len(tries) == 1:
                other.go()
                assert other.hear() == "holding"
                other.say("go on")
            unit.append(two.id, [note("here", fold=False)])

        async def beside_others() -> None:
            await asyncio.gather(
                api.append(three.id, [note("before")], provenance=ADA),
                api.submit(crosswise, provenance=ADA),
                api.append(three.id, [note("after")], provenance=ADA),
            )

        run(beside_others())
        assert other.result() == "done"

    for stream in (one, two):
        assert sorted(event.key for event in everything(stream)) == ["here", "there"]
    assert [event.key for event in everything(three)] == ["before", "after"]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer")
async def test_a_large_unit_keeps_nobody_waiting_who_writes_elsewhere() -> None:
    large, small = await asyncio.to_thread(make_stream), await asyncio.to_thread(make_stream)
    begun, go_on = threading.Event(), threading.Event()

    def many(unit: Unit) -> list[Event]:
        made = unit.append(large.id, [note(f"k{number}") for number in range(LARGE)])
        begun.set()
        assert go_on.wait(10)
        return made

    writing = asyncio.create_task(api.submit(many, provenance=ADA, changes=LARGE))
    await asyncio.to_thread(begun.wait, 10)
    (quick,) = await asyncio.wait_for(api.append(small.id, [note("a")], provenance=ADA), 10)
    go_on.set()

    assert quick.offset == 1
    assert [event.offset for event in await writing] == list(range(1, LARGE + 1))
