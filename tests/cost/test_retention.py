"""What an answer costs in rows and bytes, at once and later; and what making it small costs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from entities.testing.runtime import look, own_types, spawn
from entities.types.registry import Registry
from entities.upkeep import doctor, logs
from entities.upkeep.pruner import Pruner
from shared_state.log import retention
from shared_state.models import EventRecord, RowRecord, Stream
from tests.support.answering import an_hour_passes, answered, prune, pruned, speaking, stored
from tests.support.statements import statements

AGENTS = 20
LATER_EVENTS = 5
"""Of one answer: the message, that it was handled, the text, the step and the run."""
LATER_BYTES = 8 * 1024
sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite says what each page holds")


@pytest.fixture(autouse=True)
def _speaker(types: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    speaking(types, monkeypatch)


@pytest.fixture
def types() -> Iterator[Registry]:
    """As in tests/conformance."""
    with own_types() as registry:
        yield registry


def size() -> int:
    """The bytes of all tables and indexes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(pgsize) FROM dbstat")
        return int(cursor.fetchone()[0])


async def test_an_answer_is_five_events_later() -> None:
    url = await answered()
    before = len(await look(stored, url))

    await pruned()
    await answered(url=url)
    await pruned()

    assert before > 130
    assert len(await look(stored, url)) == 1 + 2 * LATER_EVENTS
    assert await look(EventRecord.objects.filter(stream__kind="presence").count) == 1


@sqlite
async def test_an_answer_of_2400_characters_is_less_than_8_kb_later() -> None:
    urls = [await spawn("speaker") for _ in range(AGENTS)]
    before = await look(size)
    for url in urls:
        await answered(url=url)
    at_once = (await look(size) - before) / AGENTS
    await pruned()
    later = (await look(size) - before) / AGENTS

    assert at_once > 4 * LATER_BYTES
    assert later <= LATER_BYTES


@sqlite
async def test_a_step_is_a_few_statements_however_long_the_log() -> None:
    counts = []
    for answers in (1, 20):
        url = await answered()
        for _ in range(answers - 1):
            await answered(url=url)
        await look(an_hour_passes)
        counts.append(await look(most_statements))
        await look(Stream.objects.update, swept=0)

    assert counts[0] == counts[1] <= 10


def most_statements() -> int:
    """The most statements that a step of a sweep took."""
    pruner = Pruner("a worker")
    pruner.step()
    most = 0
    while pruner._targets:
        most = max(most, len(statements_of(pruner)))
    return most


def statements_of(pruner: Pruner) -> list[str]:
    """What one step says to the database."""
    with statements() as said:
        pruner.step()
    return [one for one in said if not one.startswith("PRAGMA")]


async def test_a_transaction_deletes_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    url = await answered()
    await look(an_hour_passes)
    monkeypatch.setattr(retention, "SWEEP_EVENTS", 50)
    pruner, left = Pruner("a worker"), [len(await look(stored, url))]

    while await look(pruner.step):
        left.append(len(await look(stored, url)))

    assert max(before - after for before, after in pairwise(left)) <= 50
    assert left[-1] == 1 + LATER_EVENTS


@sqlite
async def test_nothing_to_prune_is_three_reads_and_no_write() -> None:
    await answered()
    pruner = Pruner("a worker")

    await look(pruner.step)

    assert [one.split()[0] for one in await look(statements_of, pruner)] == [
        "SELECT", "SELECT", "SELECT",
    ]  # fmt: skip


async def test_the_rows_are_not_touched() -> None:
    url = await answered()
    found = RowRecord.objects.filter(stream__path=url).order_by("pk")
    rows: list[dict[str, object]] = await look(list, found.values())

    await pruned()

    assert await look(list, found.values()) == rows
    assert await look(prune) == 0


@sqlite
async def test_the_doctor_asks_as_much_of_each_stream_however_many_there_are() -> None:
    counts = []
    for _ in range(3):
        await answered()
        counts.append(await look(statements_of_the_doctor))

    assert counts[2] - counts[1] == counts[1] - counts[0] <= 16


def statements_of_the_doctor() -> int:
    with statements() as said:
        assert list(doctor.examine()) == []
    return len([one for one in said if not one.startswith("PRAGMA")])


async def test_the_doctor_holds_a_hundred_events_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    before = logs._fold

    def fold(event: EventRecord, *rest: Any) -> Any:
        if event.offset % 50 == 0:
            held.append(len([one for one in gc.get_objects() if isinstance(one, EventRecord)]))
        return before(event, *rest)

    url = await answered()
    for _ in range(3):
        await answered(url=url)
    monkeypatch.setattr(logs, "_fold", fold)
    gc.collect()

    assert await look(lambda: list(doctor.examine())) == []
    assert len(held) > 10
    assert max(held) <= 2 * logs.AT_ONCE
