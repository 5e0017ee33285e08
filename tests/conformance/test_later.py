"""What units leave for the end of their transaction, and claims, which leave the live lists to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import structlog

from entities.api import NewEntity, registry, spawn_now
from entities.models import Entity, Wake
from entities.worker.worker import claiming_due
from shared_state import api
from shared_state.core.types import Principal
from shared_state.write.unit import Unit
from tests.conformance.writing import ADA, append, do, everything, make_stream, note, other_process, run

Left = list[list[Any]]


def leaving(calls: Left) -> Any:
    """Work that notes what it was called with."""

    def work(left: Sequence[tuple[Unit, Any]]) -> None:
        calls.append([value for _, value in left])

    return work


def test_what_many_units_leave_is_done_once_and_the_last_counts() -> None:
    calls: Left = []
    work, entered, leave = leaving(calls), threading.Event(), threading.Event()

    def hold(unit: Unit) -> None:
        entered.set()
        assert leave.wait(10)

    def leave_it(unit: Unit, key: str, value: int) -> None:
        unit.later(work, key, value)

    async def together() -> None:
        first = asyncio.create_task(api.submit(hold, provenance=ADA))
        await asyncio.to_thread(entered.wait, 10)
        rest = [
            asyncio.create_task(api.submit(partial(leave_it, key=key, value=value), provenance=ADA))
            for key, value in (("a", 1), ("b", 2), ("a", 3))
        ]
        await asyncio.sleep(0)  # all three are queued now, and gathered together
        leave.set()
        await asyncio.gather(first, *rest)

    run(together())

    assert calls == [[3, 2]]


def test_what_is_left_is_part_of_the_transaction() -> None:
    stream, other = make_stream(), make_stream()

    def end(left: Sequence[tuple[Unit, Any]]) -> None:
        for unit, stream_id in left:
            unit.append(stream_id, [note("last")])

    def unit(unit: Unit) -> None:
        unit.later(end, other.id, other.id)
        unit.append(stream.id, [note("first")])

    do(unit)

    (first,), (last,) = everything(stream), everything(other)
    assert (first.key, last.key) == ("first", "last")
    assert first.timestamp == last.timestamp


def test_a_unit_that_fails_or_is_drafted_leaves_nothing() -> None:
    calls: Left = []
    work = leaving(calls)

    def failing(unit: Unit) -> None:
        unit.later(work, "a", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do(failing)
    api.Draft().do(lambda unit: unit.later(work, "b", 2), ADA)

    assert calls == []


def test_if_what_is_left_cannot_be_done_the_unit_is_not_done() -> None:
    stream = make_stream()

    def end(left: Sequence[tuple[Unit, Any]]) -> None:
        raise ZeroDivisionError

    def unit(unit: Unit) -> None:
        unit.append(stream.id, [note()])
        unit.later(end, "", None)

    with pytest.raises(ZeroDivisionError):
        do(unit)

    assert everything(stream) == []


def test_what_a_failed_unit_looked_up_ahead_is_looked_up_again() -> None:
    """Undoing it lets go of the stream's lock: another process may move the stream on meanwhile."""
    stream = make_stream()

    def failing(unit: Unit) -> None:
        unit.prefetch([stream.id], [(stream.id, "note", "a")])
        assert stream.id in unit._write_set.streams
        raise ZeroDivisionError

    write_sets = []

    def after(unit: Unit) -> None:
        write_sets.append(unit._write_set)
        assert stream.id not in unit._write_set.streams
        assert (stream.id, "note", "a") not in unit._write_set._rows

    async def together() -> None:
        found = await asyncio.gather(
            api.append(make.id, [note()], provenance=ADA),
            api.submit(failing, provenance=ADA),
            api.submit(after, provenance=ADA),
            return_exceptions=True,
        )
        assert isinstance(found[1], ZeroDivisionError)
        assert found[2] is None

    make = make_stream()
    run(together())
    assert len(append(stream, note())) == 1


# -- claims

OWNERS, AGENTS = 5, 60


def claim_everything() -> list[Any]:
    """A worker in a process of its own; answers what it claimed, and how many transactions it lost."""
    claimed: list[int] = []
    with structlog.testing.capture_logs() as logs:
        while Wake.objects.filter(state=Wake.State.PENDING).exists():
            found, _ = do(claiming_due("other", 4))
            claimed += [one.entity.pk for one in found]
    return [claimed, sum(entry["event"] == "transaction_lost" for entry in logs)]


def test_workers_that_claim_at_once_take_each_agent_once_and_lose_no_transaction() -> None:
    """Every claim touches an owner's live list; two claims do so in the same order, whoever they are of."""
    registry.store()
    for number in range(AGENTS):
        owner = Principal("user", f"owner-{number * 3 % OWNERS}")
        spawn_now(owner, NewEntity("assistant", f"crowd-{number}", message="Hello"))

    with other_process(claim_everything) as one, other_process(claim_everything) as two:
        one.go()
        two.go()
        (first, lost), (second, also_lost) = one.result(), two.result()

    assert sorted([*first, *second]) == sorted(Entity.objects.values_list("pk", flat=True))
    assert (lost, also_lost) == (0, 0)


def test_a_claim_holds_the_live_list_no_longer_than_the_commit_takes() -> None:
    registry.store()
    spawn_now(Principal("user", "ada"), NewEntity("assistant", "short", message="Hello"))
    entity = Entity.objects.get()

    def claim(unit: Unit) -> tuple[int, bool]:
        found, _ = claiming_due("w", 10)(unit)
        return len(found), entity.presence_id in unit._write_set.streams

    assert do(claim) == (1, False)
    presence = api.get_stream_by_id(entity.presence_id)
    assert everything(presence)[-1].value["status"] == "running"
