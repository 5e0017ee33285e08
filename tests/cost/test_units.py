"""What a unit costs in statements: in the caller's transaction, and by the writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from entities import presence
from entities.api import KeyReused, NewEntity, deliver_now, registry, spawn_now
from entities.lifecycle import inbox
from entities.lifecycle.spawn import SpawnRequest, spawning
from entities.models import Timer
from entities.schedules.timers import deliver_due
from entities.wakes import lease
from entities.worker import runtime
from shared_state import api
from shared_state.core.types import Principal, Provenance
from shared_state.write import batch
from shared_state.write.job import Job
from tests.conformance.writing import append, do, make_stream, note
from tests.support.statements import statements

ADA = Principal("user", "ada")
GROWN = 2_000
pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="statements are traced by SQLite's driver"
)


@pytest.fixture
def said() -> Iterator[list[str]]:
    with statements() as said:
        yield said


def counted(said: list[str], work: Callable[[], object]) -> list[str]:
    """The statements of some work by the first word of each; what opens a connection is left out."""
    said.clear()
    work()
    return [statement.split()[0] for statement in said if not statement.startswith("PRAGMA")]


def joined(work: Callable[[], object]) -> Callable[[], object]:
    """The same within a transaction of the caller's."""

    def inner() -> None:
        with transaction.atomic():
            work()

    return inner


UNIT = ["SAVEPOINT", "SELECT", "SELECT", "INSERT", "INSERT", "UPDATE", "RELEASE"]


def test_a_joined_unit_costs_a_savepoint_and_its_own_statements(said: list[str]) -> None:
    stream = make_stream()

    found = counted(said, joined(lambda: append(stream, note())))

    assert found == ["BEGIN", *UNIT, "COMMIT"]


def test_two_joined_units_share_the_commit(said: list[str]) -> None:
    stream = make_stream()

    found = counted(said, joined(lambda: [append(stream, note()) for _ in range(2)]))

    assert found == ["BEGIN", *UNIT, *UNIT, "COMMIT"]


def test_by_the_writer_it_costs_the_same(said: list[str]) -> None:
    stream = make_stream()

    found = counted(said, lambda: append(stream, note()))

    assert found == ["BEGIN", *UNIT, "COMMIT"]


@pytest.mark.parametrize("way", [joined, lambda work: work])
def test_neither_grows_with_the_log(
    way: Callable[[Callable[[], object]], Callable[[], object]], said: list[str]
) -> None:
    stream = make_stream()
    work = way(lambda: append(stream, note()))
    before = counted(said, work)
    do(lambda unit: unit.append(stream.id, [note() for _ in range(GROWN)]))

    assert counted(said, work) == before
    assert api.get_stream_by_id(stream.id).head == GROWN + 2


@pytest.mark.usefixtures("_active")
def test_a_message_costs_no_savepoint_by_the_writer_and_one_when_joined(said: list[str]) -> None:
    registry.store()
    one, two = (spawn_now(ADA, NewEntity("assistant", slug)) for slug in ("one", "two"))

    by_the_writer = counted(said, lambda: deliver_now(ADA, one.url, "hello"))
    in_a_transaction = counted(said, joined(lambda: deliver_now(ADA, two.url, "hello")))

    assert sorted(in_a_transaction) == sorted([*by_the_writer, "SAVEPOINT", "RELEASE"])
    assert len(by_the_writer) <= 20


def test_a_message_that_comes_again_writes_nothing_also_if_it_is_another(said: list[str]) -> None:
    registry.store()
    agent = spawn_now(ADA, NewEntity("assistant", "one"))
    first = counted(said, lambda: deliver_now(ADA, agent.url, "hello", key="k"))
    again = counted(said, lambda: deliver_now(ADA, agent.url, "hello", key="k"))

    def another() -> None:
        with pytest.raises(KeyReused):
            deliver_now(ADA, agent.url, "bye", key="k")

    refused = counted(said, another)

    assert reads(refused) == reads(again)
    assert len(reads(again)) <= len(reads(first))
    assert not {"INSERT", "UPDATE"} & {*again, *refused}


@pytest.fixture
def _active(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message changes the list of agents, as if the last one had been long ago."""
    monkeypatch.setattr(presence, "ACTIVITY_STEP", timedelta(0))


def batch_of(count: int) -> list[Any]:
    """Messages, one to each of so many agents."""
    agents = [spawn_now(ADA, NewEntity("assistant", f"{count}-{number}")) for number in range(count)]
    return [partial(inbox.delivery, agent, "user:ada", "hello") for agent in agents]


FULL = 256
"""As many as the writer takes at once."""


@pytest.mark.usefixtures("_active")
def test_a_batch_of_messages_costs_the_same_for_two_and_for_a_full_one(said: list[str]) -> None:
    registry.store()
    costs = {}
    for count in (2, FULL):
        jobs = [Job(Provenance("user:ada"), None, make(), None, None, None) for make in batch_of(count)]
        costs[count] = counted(said, partial(in_writer, jobs))
        assert all(job.error is None for job in jobs)

    assert reads(costs[2]) == reads(costs[FULL])
    assert len(reads(costs[FULL])) <= 8


def test_messages_to_agents_that_were_just_active_change_no_list(said: list[str]) -> None:
    registry.store()
    jobs = [Job(Provenance("user:ada"), None, make(), None, None, None) for make in batch_of(2)]

    found = counted(said, partial(in_writer, jobs))

    assert reads(found) == ["SELECT"] * 4  # streams, agents, wakes that wait, the key of the last wake
    assert found.count("INSERT") == 6  # for each an event, a row and a wake


@pytest.mark.usefixtures("_active")
def test_messages_with_a_claim_in_their_midst_cost_the_same_for_two_and_for_many(said: list[str]) -> None:
    registry.store()
    costs = {}
    for count in (2, 64):
        jobs = [Job(Provenance("user:ada"), None, make(), None, None, None) for make in batch_of(count)]
        claim = Job(Provenance("system:w"), None, lease.claiming("w", FULL), None, None, None)
        costs[count] = counted(said, partial(in_writer, [claim, *jobs]))
        assert len(claim.result) == count  # it found the messages of its own batch

    assert reads(costs[2]) == reads(costs[64])


def test_wakes_that_begin_together_read_what_they_need_together(said: list[str]) -> None:
    registry.store()
    costs = {}
    for count in (2, 64):
        for make in batch_of(count):
            do(make())
        claimed = do(lease.claiming("w", count))
        costs[count] = counted(said, partial(runtime._load_all, claimed))

    assert costs[2] == costs[64] == ["SELECT"] * 2  # their messages, and whether they have set something up


def test_a_batch_of_spawns_costs_the_same_for_two_and_for_a_full_one(said: list[str]) -> None:
    registry.store()
    spawn_now(ADA, NewEntity("assistant", "first"))
    costs = {}
    for count in (2, FULL):
        new = [
            SpawnRequest("assistant", f"{count}-{n}", "user:ada", "user:ada", message="hi")
            for n in range(count)
        ]
        jobs = [Job(Provenance("user:ada"), None, spawning(each), None, None, None) for each in new]
        costs[count] = counted(said, partial(in_writer, jobs))
        assert all(job.error is None for job in jobs)

    assert costs[FULL].count("COMMIT") == 1
    assert reads(costs[2]) == reads(costs[FULL])


@pytest.mark.usefixtures("_active")
def test_a_batch_of_settlings_costs_the_same_for_two_and_for_a_full_one(said: list[str]) -> None:
    registry.store()
    costs = {}
    for count in (2, FULL):
        for make in batch_of(count):
            do(make())
        claimed = do(lease.claiming("w", count))
        assert len(claimed) == count
        jobs = [
            Job(Provenance("system:w"), one.fence, lease.settling(one), None, None, None) for one in claimed
        ]
        costs[count] = counted(said, partial(in_writer, jobs))
        assert all(job.error is None for job in jobs)

    assert reads(costs[2]) == reads(costs[FULL])
    assert len(reads(costs[FULL])) <= 8


@pytest.mark.usefixtures("_active")
def test_timers_that_are_due_cost_the_same_for_two_and_for_many(said: list[str]) -> None:
    registry.store()
    costs = {}
    for count in (2, 200):
        for number in range(count):
            agent = spawn_now(ADA, NewEntity("assistant", f"due-{count}-{number}"))
            Timer.objects.create(
                entity=agent, key=f"{count}-{number}", sender="user:ada", payload="It is time.",
                message_type="", due_at=agent.created_at, created_at=agent.created_at,
            )  # fmt: skip
        costs[count] = counted(said, lambda: do(deliver_due))
        assert not Timer.objects.exists()

    assert reads(costs[2]) == reads(costs[200])


def reads(found: list[str]) -> list[str]:
    """What was asked; what is written is one statement run for each row."""
    return [word for word in found if word == "SELECT"]


def in_writer(jobs: list[Job]) -> None:
    """One transaction for all of them, as the writer does it."""
    batch.write(jobs)
