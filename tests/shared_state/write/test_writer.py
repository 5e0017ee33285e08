"""The writer's thread: queue, end, and beginning again."""

import asyncio
import threading
from typing import Any

import pytest
from django.db import connection

from shared_state import api
from shared_state.conf import conf
from shared_state.core.types import Event, Hint, Provenance
from shared_state.notify import bus
from shared_state.write import batch, writer
from shared_state.write.job import Job
from shared_state.write.unit import Unit
from shared_state.write.writer import Lanes
from tests.conformance.writing import ADA, append, do, everything, make_stream, note, offsets, run


def test_stopping_writes_what_is_queued() -> None:
    stream = make_stream()
    entered, leave = threading.Event(), threading.Event()
    answers: list[list[Event]] = []

    def slow(unit: Unit) -> list[Event]:
        entered.set()
        assert leave.wait(10)
        return unit.append(stream.id, [note("first")])

    def call(unit: Any) -> None:
        answers.append(do(unit))
        connection.close()

    first = threading.Thread(target=call, args=(slow,))
    first.start()
    assert entered.wait(10)
    second = threading.Thread(target=call, args=(lambda unit: unit.append(stream.id, [note("second")]),))
    second.start()
    ending = threading.Thread(target=writer.stop)
    ending.start()
    leave.set()
    for thread in (first, second, ending):
        thread.join(10)

    assert sorted(offsets([event for answer in answers for event in answer])) == [1, 2]
    assert len(everything(stream)) == 2


def test_the_next_write_starts_another_writer() -> None:
    stream = make_stream()
    before = writer.writer()
    writer.stop()
    writer.stop()

    append(stream, note())

    assert writer.writer() is not before
    assert len(everything(stream)) == 1


def test_no_caller_is_lost_while_writers_come_and_go() -> None:
    stream = make_stream()
    ended = threading.Event()

    def stop_again_and_again() -> None:
        while not ended.is_set():
            writer.stop()

    async def call(name: str) -> list[Event]:
        return [(await api.append(stream.id, [note(f"{name}-{n}")], provenance=ADA))[0] for n in range(10)]

    async def call_all() -> list[list[Event]]:
        async with asyncio.timeout(60):
            return await asyncio.gather(*(call(f"c{n}") for n in range(16)))

    stopping = threading.Thread(target=stop_again_and_again)
    stopping.start()
    try:
        answers = run(call_all())
    finally:
        ended.set()
        stopping.join()

    assert sorted(event.offset for answer in answers for event in answer) == list(range(1, 161))
    assert len(everything(stream)) == 160


def test_a_batch_is_no_larger_than_the_setting(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SHARED_STATE = {"BATCH_SIZE": 4}
    stream = make_stream()
    sizes: list[int] = []
    real = batch.write

    def write(jobs: list[Job], lock_timeout: float | None) -> list[Job]:
        sizes.append(len(jobs))
        return real(jobs, lock_timeout)

    monkeypatch.setattr(batch, "write", write)

    async def call_all() -> None:
        await asyncio.gather(*(api.append(stream.id, [note()], provenance=ADA) for _ in range(10)))

    run(call_all())

    assert conf.batch_size == 4
    assert max(sizes) <= 4
    assert sum(sizes) == 10


def test_callers_at_once_share_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = make_stream()
    commits: list[str] = []
    monkeypatch.setattr(batch, "commit_hook", commits.append)

    async def call_all() -> list[list[Event]]:
        return await asyncio.gather(*(api.append(stream.id, [note()], provenance=ADA) for _ in range(50)))

    answers = run(call_all())

    assert offsets([event for answer in answers for event in answer]) == list(range(1, 51))
    assert commits.count("before") == commits.count("after") < 10


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is announced."""
    said: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        bus, "publish", lambda hints, nudges, events: said.append((hints, nudges, list(events)))
    )
    return said


def test_after_the_commit_streams_events_and_nudges_are_announced(heard: list[tuple[Any, ...]]) -> None:
    one, two = make_stream(), make_stream()

    def unit(unit: Unit) -> list[Event]:
        unit.nudge("wake")
        unit.nudge("wake")
        return [*unit.append(one.id, [note(), note()]), *unit.append(two.id, [note()])]

    events = do(unit)

    assert heard == [([Hint(one.id, 2), Hint(two.id, 1)], ["wake"], events)]


def test_what_did_not_happen_is_not_announced(heard: list[tuple[Any, ...]]) -> None:
    stream = make_stream()

    def fail(unit: Unit) -> None:
        unit.nudge("wake")
        unit.append(stream.id, [note()])
        raise LookupError

    with pytest.raises(LookupError):
        do(fail)
    api.Draft().do(lambda unit: unit.append(stream.id, [note()]), ADA)
    do(lambda unit: unit.stream(stream.id))

    assert heard == []


def test_a_nudge_without_events_is_announced(heard: list[tuple[Any, ...]]) -> None:
    do(lambda unit: unit.nudge("signal:7"))

    assert heard == [([], ["signal:7"], [])]


def test_nobody_hears_of_it_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = make_stream()
    order: list[str] = []
    monkeypatch.setattr(batch, "commit_hook", order.append)
    monkeypatch.setattr(bus, "publish", lambda *said: order.append("announced"))

    append(stream, note())

    assert order == ["before", "after", "announced"]


def test_an_error_of_our_own_is_told_and_the_thread_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = make_stream()

    def broken(jobs: object, _: object) -> None:
        raise MemoryError("nothing left")

    with monkeypatch.context() as patch:
        patch.setattr(batch, "write", broken)
        with pytest.raises(MemoryError, match="nothing left"):
            append(stream, note())

    assert offsets(append(stream, note(), provenance=Provenance("user:ben"))) == [1]


def waiting(background: bool, name: str) -> Job:
    return Job(Provenance(name), None, None, None, None, None, background=background)


def test_what_somebody_waits_for_goes_before_the_background() -> None:
    lanes = Lanes()
    for number in range(writer.BACKGROUND_AT_ONCE + 10):
        lanes.put([waiting(True, f"piece {number}")])
    lanes.put([waiting(False, "message")])

    taken = [job.provenance.writer for job in lanes.take(100)]
    rest = [job.provenance.writer for job in lanes.take(100)]

    assert taken == ["message", *(f"piece {number}" for number in range(writer.BACKGROUND_AT_ONCE))][:100]
    assert len(rest) == 10


def test_the_background_never_stands_whatever_else_there_is() -> None:
    lanes = Lanes()
    lanes.put([waiting(True, "piece")])
    for number in range(10):
        lanes.put([waiting(False, f"message {number}")])

    assert [job.provenance.writer for job in lanes.take(4)] == [*(f"message {n}" for n in range(4)), "piece"]


def test_closed_lanes_give_what_is_left_and_take_no_more() -> None:
    lanes = Lanes()
    lanes.put([waiting(True, "piece")])
    lanes.close()

    assert not lanes.put([waiting(False, "late")])
    assert [job.provenance.writer for job in lanes.take(4)] == ["piece"]
    assert lanes.take(4) == []
