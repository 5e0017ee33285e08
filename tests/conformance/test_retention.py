"""What becomes of a log in the long run: pieces and earlier versions go, what was said stays."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from entities.catalog import pace
from entities.catalog.events import EVENTS, LOG_ONLY, RETENTION
from entities.models import Chore, Entity, Wake
from entities.testing.runtime import (
    claim,
    configured,
    events,
    look,
    rows,
    spawn,
    tell,
    texts,
    until,
    values,
    wakes,
    working,
)
from entities.types.registry import Registry
from entities.upkeep import pruner
from entities.upkeep.pruner import Pruner
from shared_state.core.types import Pieces
from shared_state.models import EventRecord, RowRecord
from tests.support.answering import ANSWER, an_hour_passes, answered, prune, pruned, speaking, stored


@pytest.fixture(autouse=True)
def _speaker(types: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    speaking(types, monkeypatch)


def test_every_type_of_the_catalogue_states_its_retention() -> None:
    assert RETENTION.keys() == EVENTS.keys()
    assert {type for type, rule in RETENTION.items() if isinstance(rule, Pieces)} == LOG_ONLY


async def test_an_answer_is_kept_and_its_pieces_are_not() -> None:
    url = await answered()
    before = {type: await values(url, type) for type in ("text", "run", "step", "inbox")}

    await pruned()

    kept = [(type, operation) for _, type, operation in await look(stored, url)]
    assert kept == [
        ("entity_created", "insert"), ("inbox", "insert"), ("text", "update"), ("step", "update"),
        ("run", "update"), ("inbox", "update"),
    ]  # fmt: skip
    assert {type: await values(url, type) for type in before} == before
    assert await texts(url) == [ANSWER]


async def test_the_log_says_what_the_rows_say() -> None:
    url = await answered()
    whole = [event for event in await events(url) if event.type not in LOG_ONLY]
    last = {(event.type, event.key): (event.offset, event.value) for event in whole}

    await pruned()

    left = await events(url)
    assert {(event.type, event.key): (event.offset, event.value) for event in left} == last
    assert await look(EventRecord.objects.filter(value__isnull=True, stream=left[0].stream).count) > 0


async def test_a_text_can_be_typed_again_at_its_pace() -> None:
    url = await answered()
    pieces = await events(url, "text_delta")
    await pruned()

    [text] = await values(url, "text")
    points = pace.decode(text["pace"])
    assert len(text["pace"]) < 300
    assert [length for _, length in points] == sorted({length for _, length in points})
    assert points[-1][1] == sum(len(piece.value["delta"]) for piece in pieces)
    assert "".join(piece for _, piece in pace.typed(text["content"], text["pace"])) == ANSWER


async def test_nothing_goes_before_its_time() -> None:
    url = await answered()
    before = await look(stored, url)

    await look(prune)

    assert await look(stored, url) == before


async def test_what_is_being_said_is_left_alone() -> None:
    """The wake is claimed and its run has begun: its log is read from where the wake begins."""
    url = await answered()
    await tell(url, "And?")
    [claimed] = await claim()
    before = [event for event in await look(stored, url) if event[0] >= claimed.wake.from_offset]

    await pruned()

    after = await look(stored, url)
    assert after[-len(before) :] == before
    assert "text_delta" not in {type for _, type, _ in after}


async def test_a_parked_wake_keeps_what_its_retry_may_read(types: Registry) -> None:
    @types.define("failing")
    async def failing(ctx: Any, wake: Any) -> None:
        raise ValueError("no")

    url = await answered()
    with configured(MAX_ATTEMPTS=1):
        await look(Entity.objects.filter(url=url).update, type="failing")
        await answered("Fail.", url)
    await look(Entity.objects.filter(url=url).update, type="speaker")
    [parked] = await wakes(url, state="parked")
    await answered("Go on.", url)

    await pruned()

    after = {type for offset, type, _ in await look(stored, url) if offset >= parked.from_offset}
    assert "text_delta" in after


async def test_presence_keeps_what_each_agent_is_now() -> None:
    urls = [await answered() for _ in range(3)]
    for _ in range(2):
        await answered(url=urls[0])
        await pruned()

    left = Counter(event.key for event in await events("presence:user:ada"))
    assert left == dict.fromkeys(urls, 1)
    assert {row.key for row in await rows("presence:user:ada", "agent")} == set(urls)


async def test_a_key_is_known_as_long_as_its_log_is_there() -> None:
    url = await spawn("speaker")
    first = await tell(url, "Once.", key="once")
    await answered(url=url)
    await pruned()

    again = await tell(url, "Once.", key="once")

    assert (again.offset, again.value) == (first.offset, first.value)
    assert again.repeated


async def test_settled_wakes_have_an_age() -> None:
    url = await answered()
    week = timedelta(days=8)
    await look(Wake.objects.update, settled_at=timezone.now() - week)
    await tell(url, "Waiting.")

    await look(prune)

    assert [wake.state for wake in await wakes(url)] == ["pending"]


async def test_one_worker_does_it_at_a_time() -> None:
    url = await answered()
    first, second = Pruner("first"), Pruner("second")
    await look(first.step)
    before = await look(stored, url)

    assert not await look(second.step)
    await pruned_by(second)
    assert await look(stored, url) == before

    await look(Chore.objects.update, held_until=timezone.now() - timedelta(seconds=1))
    await pruned_by(second)
    assert await look(stored, url) != before


async def pruned_by(one: Pruner) -> None:
    await look(an_hour_passes)
    while await look(one.step):
        pass


async def test_a_long_log_is_pruned_in_small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruner, "WAKES_AT_ONCE", 2)
    urls = [await answered() for _ in range(3)]

    steps = await pruned()

    assert steps > 3
    for url in urls:
        assert "text_delta" not in {type for _, type, _ in await look(stored, url)}


async def test_pieces_of_what_was_taken_back_go_too() -> None:
    url = await answered()
    await look(lambda: RowRecord.objects.filter(stream__entity__url=url, type="text").delete())

    await pruned()

    assert {type for _, type, _ in await look(stored, url)} & {"text", "text_delta"} == set()


async def test_a_worker_does_it_by_itself() -> None:
    def without_pieces() -> bool:
        return not EventRecord.objects.filter(type="text_delta").exists()

    with configured(PRUNE_SECONDS=0.01, KEEP_VERSIONS_SECONDS=0.1):
        async with working():
            url = await spawn("speaker", message="Speak.")
            await until(lambda: RowRecord.objects.filter(type="text").exists(), "the first words")
            await until(without_pieces, "the pieces to be gone")

    assert await texts(url) == [ANSWER]


async def test_a_worker_that_stops_leaves_pruning_to_the_next_at_once() -> None:
    with configured(PRUNE_SECONDS=0.01):
        async with working() as worker:
            held = Chore.objects.filter(holder=worker.name)
            await until(held.exists, "the worker to have the chore")

    assert await look(lambda: list(Chore.objects.values_list("holder", "held_until"))) == [("", None)]
    assert not await look(held.exists)
