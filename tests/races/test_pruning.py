"""The pruner in one process; agents, claims and readers in another: nobody is in the other's way."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import orjson
import pytest

from entities.models import Chore, Wake
from entities.testing.runtime import configured, look, own_types, quiet, spawn, tell, texts, working
from entities.upkeep import doctor
from entities.upkeep.pruner import Pruner
from shared_state import api
from shared_state.api import wire
from shared_state.models import EventRecord, Stream
from shared_state.write import batch
from tests.conformance.writing import other_process
from tests.support.answering import ANSWER, speaking

AGENTS, ROUNDS = 4, 4
STOP = "stop"
SOON = {"KEEP_VERSIONS_SECONDS": 0.5, "KEEP_WAKES_SECONDS": 0.5}
"""Longer than any transaction takes: a wake is settled before it is ticked off."""


def prune_on() -> int:
    """Prune whatever may be pruned, until told to stop and nothing is left. Answers the steps."""
    pruner, steps = Pruner("there"), 0
    with configured(**SOON):
        while Wake.objects.exists() or not Chore.objects.filter(name=STOP).exists():
            steps += pruner.step()
    return steps


async def _read_on(urls: list[str], over: asyncio.Event) -> int:
    """Read logs from their beginning, again and again: in order, and no text without its words."""
    count = 0
    while not over.is_set():
        for url in urls:
            stream = await look(api.get_stream, url)
            page = await look(wire.page, stream.id, 0, 10_000, None, wire.Plain())
            found = [orjson.loads(event) for event in page.events]
            offsets = [event["headers"]["offset"] for event in found]
            assert offsets == sorted(set(offsets))
            said = [event["value"] for event in found if event["type"] == "text"]
            assert {one["content"] for one in said if one["status"] == "completed"} <= {ANSWER}
            count += 1
    return count


async def _answer() -> tuple[int, list[str], list[Any]]:
    urls = [await spawn("speaker", f"race-{number}") for number in range(AGENTS)]
    over = asyncio.Event()
    with patch.object(batch, "log") as log:
        reading = asyncio.create_task(_read_on(urls, over))
        async with working(concurrency=AGENTS) as worker:
            for _ in range(ROUNDS):
                await asyncio.gather(*(tell(url, "Speak.") for url in urls))
                await quiet(worker, 60)
        over.set()
        reads = await reading
    return reads, urls, [str(call) for call in log.warning.call_args_list]


async def test_pruning_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_types() as types, other_process(prune_on) as other:
        speaking(types, monkeypatch)
        other.go()
        reads, urls, lost = await _answer()
        await look(Chore.objects.create, name=STOP)
        steps = await asyncio.to_thread(other.result)

    assert (lost, reads > 0, steps > 0) == ([], True, True)
    for url in urls:
        assert await texts(url) == [ANSWER] * ROUNDS
    assert not await look(EventRecord.objects.filter(type="text_delta").exists)
    assert not await look(Wake.objects.exists)
    assert await look(lambda: list(doctor.examine())) == []
    assert await look(Stream.objects.filter(kind="presence", events__isnull=True).count) == 0
