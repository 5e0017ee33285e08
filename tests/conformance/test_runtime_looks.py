"""How often a worker looks for work: at once where there may be more, and not where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from entities import api
from entities.models import Wake
from entities.testing.runtime import configured, entity, look, quiet, spawn, working
from entities.types.registry import Registry
from entities.worker import worker as worker_module
from shared_state.api import Principal

ADA = Principal("user", "ada")


@pytest.fixture(autouse=True)
def nothing_but_nudges(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A look that nobody asked for would come after a minute."""
    monkeypatch.setattr(worker_module, "SHORTEST_POLL_SECONDS", 60)
    with configured(POLL_SECONDS=60):
        yield


class Gate:
    """A type whose handlers say that they began, and wait until they may end."""

    def __init__(self, types: Registry) -> None:
        self._begun: asyncio.Queue[str] = asyncio.Queue()
        self.leave = asyncio.Event()

        @types.define("gate")
        async def gate(ctx: Any, wake: Any) -> None:
            self._begun.put_nowait(ctx.entity_url)
            await self.leave.wait()

    async def next(self) -> str:
        """Whose handler began next."""
        return await asyncio.wait_for(self._begun.get(), 20)


@pytest.fixture
def gate(types: Registry) -> Gate:
    return Gate(types)


async def test_many_wakes_of_one_agent_hide_nobody_behind_them(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two wakes of one agent fill a claim of two: only one can be run, and who comes next is found."""
    monkeypatch.setattr(worker_module, "MOST_AT_ONCE", 2)
    twice = await spawn("gate", message="first")
    await look(api.wake_now, ADA, await entity(twice))
    behind = await spawn("gate", message="second")
    assert await look(Wake.objects.filter(state="pending").count) == 3

    async with working() as worker:
        assert [await gate.next(), await gate.next()] == [twice, behind]
        gate.leave.set()
        await quiet(worker)


async def test_a_full_claim_is_followed_by_another(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "MOST_AT_ONCE", 1)
    urls = [await spawn("gate", message="hello") for _ in range(3)]

    async with working() as worker:
        assert [await gate.next() for _ in urls] == urls
        gate.leave.set()
        await quiet(worker)


async def test_what_a_full_worker_leaves_is_for_another(gate: Gate) -> None:
    """The second hears of it from the first, which claims and is full before the second has looked."""
    async with working(concurrency=1) as first, working(concurrency=1) as second:
        await first.idle.wait()
        await second.idle.wait()
        urls = {await spawn("gate", message="hello") for _ in range(2)}

        assert {await gate.next(), await gate.next()} == urls
        gate.leave.set()
        await quiet()


async def test_a_claim_of_all_there_is_asks_nothing_more(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look would take turns for the interpreter with the handler that just began."""
    looks = []
    claiming = worker_module.claiming_due

    def counted(name: str, free: int) -> Any:
        looks.append(free)
        return claiming(name, free)

    monkeypatch.setattr(worker_module, "claiming_due", counted)
    async with working() as worker:
        await worker.idle.wait()
        for number in range(1, 4):
            await spawn("gate", message="hello")
            await gate.next()
            assert len(looks) == 1 + number  # the first is that of the start
        gate.leave.set()
        await quiet(worker)
