"""Joined units and the writers of two processes, all on the same streams."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction

from entities.api import EntityExists, NewEntity, deliver_now, registry, spawn_now
from entities.models import Entity, Wake
from shared_state import api
from shared_state.core.types import Principal
from tests.conformance.writing import ADA, append, do, everything, make_stream, note, offsets, other_process

TIMES = 25
ADAS = Principal("user", "ada")


def write_both_ways(name: str, stream: int, times: int) -> list[str]:
    """In turn: a transaction of two units that commits, one that rolls back, and an append by the writer.

    Answers the keys that must be there.
    """
    target, kept = api.get_stream_by_id(stream), []
    for number in range(times):
        keys = [f"{name}-{number}-{part}" for part in "abc"]
        with transaction.atomic():
            append(target, note(keys[0]))
            append(target, note(keys[1]))
        with transaction.atomic():
            append(target, note(f"{name}-{number}-gone"))
            transaction.set_rollback(True)
        asyncio.run(_by_the_writer(stream, keys[2]))
        kept += keys
    connection.close()
    return kept


async def _by_the_writer(stream: int, key: str) -> None:
    await api.append(stream, [note(key)], provenance=ADA)


def test_two_processes_append_both_ways_without_a_gap() -> None:
    stream = make_stream()

    with other_process(write_both_ways, name="there", stream=stream.id, times=TIMES) as other:
        other.go()
        here = write_both_ways("here", stream.id, TIMES)
        there = other.result()

    log = everything(stream)
    assert offsets(log) == list(range(1, 2 * 3 * TIMES + 1))
    assert sorted(event.key for event in log) == sorted([*here, *there])
    for name, keys in (("here", here), ("there", there)):
        assert [event.key for event in log if event.key.startswith(name)] == keys
    pairs = [number for number, event in enumerate(log) if event.key.endswith("-a")]
    assert all(log[number + 1].key == log[number].key[:-1] + "b" for number in pairs)  # nobody got between


def make_and_tell(name: str, times: int) -> list[int]:
    """Agents are made and told, each with a row of the caller's own; every third transaction rolls back.

    Answers how many were made, and how many transactions a deadlock took, which were then done again.
    """
    made = lost = 0
    for number in range(times):
        while True:
            try:
                made += _make_one(f"{name}-{number}", number % 3 != 2)
            except OperationalError:
                lost += 1
                continue
            break
    connection.close()
    return [made, lost]


def _make_one(name: str, keep: bool) -> bool:
    with transaction.atomic():
        Group.objects.create(name=name)
        agent = spawn_now(ADAS, NewEntity("assistant", name, message="hello"))
        try:
            spawn_now(ADAS, NewEntity("assistant", name))
        except EntityExists:  # the second one: refused, and undone alone
            deliver_now(ADAS, agent.url, "more")
        transaction.set_rollback(not keep)
    return keep


def test_agents_that_two_processes_make_in_transactions_are_all_there_and_no_others() -> None:
    registry.store()

    with other_process(make_and_tell, name="there", times=TIMES) as other:
        other.go()
        here: Any = make_and_tell("here", TIMES)
        there = other.result()

    made = here[0] + there[0]
    slugs = sorted(Entity.objects.values_list("slug", flat=True))
    assert len(slugs) == made
    assert slugs == sorted(Group.objects.values_list("name", flat=True))
    assert Wake.objects.count() == made
    assert (here[1], there[1]) == (0, 0)
    presence = api.get_stream("presence:user:ada")
    log = everything(presence)
    assert offsets(log) == list(range(1, presence.head + 1))
    assert {row.key for row in api.rows(presence.id, "agent")} == {f"/assistant/{slug}" for slug in slugs}


def test_a_unit_beside_joined_ones_is_never_lost() -> None:
    """Two streams, locked crosswise by a caller and by the writers: whoever loses does it again."""
    one, two = make_stream(), make_stream()

    with other_process(cross, first=two.id, second=one.id, times=TIMES) as other:
        other.go()
        for number in range(TIMES):
            do(partial(_both, first=one.id, second=two.id, key=f"here-{number}"))
        there = other.result()

    assert there >= TIMES
    for stream in (one, two):
        log = everything(stream)
        assert offsets(log) == list(range(1, 2 * TIMES + 1))
        assert len({event.key for event in log}) == 2 * TIMES


def _both(unit: api.Unit, first: int, second: int, key: str) -> None:
    for stream in (first, second):
        unit.append(stream, [note(key)])


def cross(first: int, second: int, times: int) -> int:
    """Transactions of two units in the order given; one that loses a deadlock is done again."""
    tries = 0
    for number in range(times):
        done = False
        while not done:
            tries += 1
            try:
                with transaction.atomic():
                    for stream in (first, second):
                        append(api.get_stream_by_id(stream), note(f"there-{number}"))
                done = True
            except OperationalError:
                continue
    connection.close()
    return tries
