"""What one caller's transaction holds keeps nobody waiting but those who need just that."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from entities.api import EntityExists, NewEntity, deliver, registry, spawn, spawn_now
from entities.models import Entity
from shared_state import api
from shared_state.core.types import Principal
from shared_state.write import writer
from shared_state.write.unit import Unit
from tests.conformance.writing import append, do, everything, make_stream, note, offsets, run

ADA, BEN = (Principal("user", name) for name in ("ada", "ben"))
ADAS = api.Provenance("user:ada")
MINUTE = 60
pytestmark = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one lock for everything")


@contextmanager
def held(work: Any) -> Iterator[threading.Event]:
    """Somebody's transaction that has done `work` and commits when the event is set, or at the end."""
    has, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            work()
            has.set()
            assert leave.wait(MINUTE)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert has.wait(MINUTE)
        yield leave
    finally:
        leave.set()
        thread.join(MINUTE)


def holding(stream: int) -> None:
    do(lambda unit: unit.append(stream, [note("held")]))


def ended(work: Any) -> Any:
    """The work in a thread, whose connection is closed after it."""

    def do_it() -> None:
        work()
        connection.close()

    thread = threading.Thread(target=do_it)
    thread.start()
    return thread


def agents() -> tuple[Entity, Entity]:
    registry.store()
    return spawn_now(ADA, NewEntity("assistant", "ada")), spawn_now(BEN, NewEntity("assistant", "ben"))


def inbox(agent: Entity) -> list[str]:
    return [event.value["payload"] for event in api.read(agent.stream_id, types=["inbox"])]


def test_a_message_does_not_wait_for_a_stream_that_it_does_not_need() -> None:
    hers, his = agents()

    async def both(leave: threading.Event) -> None:
        waiting = [asyncio.ensure_future(deliver(ADA, hers.url, f"{n}")) for n in range(20)]
        async with asyncio.timeout(MINUTE):
            for n in range(20):  # beside those that wait, and after them
                await deliver(BEN, his.url, f"{n}")
        assert not any(each.done() for each in waiting)
        leave.set()
        await asyncio.gather(*waiting)

    with held(lambda: holding(hers.stream_id)) as leave:
        run(both(leave))

    assert inbox(his) == inbox(hers) == [f"{n}" for n in range(20)]


def test_what_comes_later_to_a_held_stream_overtakes_nothing() -> None:
    stream, other = make_stream(), make_stream("/room/other")

    async def write(leave: threading.Event) -> None:
        waiting = []
        for n in range(30):
            late = api.append(stream.id, [note(f"{n}")], provenance=ADAS)
            waiting.append(asyncio.ensure_future(late))
            await api.append(other.id, [note(f"{n}")], provenance=ADAS)
            if n == 15:
                leave.set()
        await asyncio.gather(*waiting)

    with held(lambda: append(stream, note("held"))) as leave:
        run(write(leave))

    log = everything(stream)
    assert [event.key for event in log] == ["held", *(f"{n}" for n in range(30))]
    assert offsets(log) == list(range(1, 32))


def test_an_owners_list_that_is_held_holds_up_no_other_owner() -> None:
    hers, _ = agents()
    before = [api.get_stream(f"presence:user:{name}").head for name in ("ada", "ben")]

    async def make(leave: threading.Event) -> None:
        held_up = [NewEntity("assistant", f"second-{n}") for n in range(40)]
        waiting = [asyncio.ensure_future(spawn(ADA, new)) for new in held_up]
        async with asyncio.timeout(MINUTE):
            await spawn(BEN, NewEntity("assistant", "second-of-ben"))  # of the same batch
        assert not any(each.done() for each in waiting)
        leave.set()
        await asyncio.gather(*waiting)

    with held(lambda: holding(hers.presence_id)) as leave:
        run(make(leave))

    after = [api.get_stream(f"presence:user:{name}").head for name in ("ada", "ben")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [41, 1]


def test_a_path_that_is_being_made_elsewhere_is_waited_for_apart() -> None:
    registry.store()

    async def make(leave: threading.Event) -> None:
        waiting = asyncio.ensure_future(spawn(ADA, NewEntity("assistant", "same")))
        async with asyncio.timeout(MINUTE):
            await spawn(BEN, NewEntity("assistant", "other"))
        leave.set()
        with pytest.raises(EntityExists):
            await waiting

    with held(lambda: spawn_now(ADA, NewEntity("assistant", "same"))) as leave:
        run(make(leave))

    assert Entity.objects.count() == 2


def test_a_unit_that_waits_for_a_row_of_its_own_waits_as_long_as_it_takes() -> None:
    stream = make_stream()
    group = Group.objects.create(name="mine")
    entered = threading.Event()

    def change(unit: Unit) -> None:
        entered.set()
        Group.objects.select_for_update().get(pk=group.pk)
        unit.append(stream.id, [note()])

    def lock() -> None:
        Group.objects.select_for_update().get(pk=group.pk)

    with held(lock) as leave:
        waiting = ended(lambda: do(change))
        assert entered.wait(MINUTE)
        waiting.join(0.3)  # six times what the writer would wait for a stream
        assert waiting.is_alive()
        leave.set()
        waiting.join(MINUTE)

    assert len(everything(stream)) == 1


def test_stopping_writes_what_is_held_up() -> None:
    stream = make_stream()

    with held(lambda: append(stream, note("held"))) as leave:
        waiting = ended(lambda: append(stream, note("late")))
        while waiting.is_alive() and stream.id not in writer._held_up._streams:
            waiting.join(0.01)
        ending = threading.Thread(target=writer.stop)
        ending.start()
        leave.set()
        for thread in (waiting, ending):
            thread.join(MINUTE)
            assert not thread.is_alive()

    assert [event.key for event in everything(stream)] == ["held", "late"]
