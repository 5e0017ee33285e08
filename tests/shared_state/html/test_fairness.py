"""Hostile texts cost who writes them, and keep nobody else waiting: a counted clock, the order of turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from shared_state.core import budget
from shared_state.core.budget import (
    NOBODY,
    OWNER,
    STREAM,
    STREAM_PAYS,
    Account,
    Accounts,
    Queue,
    Turn,
    ordinary,
)
from shared_state.core.types import Event, Provenance, StreamInfo
from shared_state.html import render_process
from shared_state.html.foreign import QUICK, Renderer, as_it_is, on_behalf_of
from shared_state.html.render_process import NotNowError, RenderProcesses
from shared_state.live.hub import RENDER_THREADS, SLOW_THREADS, Hub
from shared_state.live.turns import Turns
from shared_state.notify.bus import Bus
from tests.shared_state.html.test_foreign import ENDLESS, FINE, whole
from tests.support.waiting import wait_until

LONG = FINE * 3
"""Longer than what is quick."""


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(budget, "accounts", Accounts(found))
    return found


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Renderer]:
    monkeypatch.setattr(render_process, "PROCESSOR_SECONDS", 0.2)
    found = Renderer(RenderProcesses(1))
    yield found
    found.processes.end()


def stream(ident: int, owner: str = "user:ada") -> StreamInfo:
    return StreamInfo(ident, f"/sample/{ident}", "entity", owner, None, 0, 0, False, False, {})


def account(ident: int, owner: str = "user:ada") -> Account:
    return budget.account_of(stream(ident, owner))


def owing(ident: int, seconds: float, owner: str = "user:ada") -> Account:
    found = account(ident, owner)
    found.charge(seconds, 0, in_vain=True)
    return found


def test_what_is_ordinary_costs_nothing(clock: Clock) -> None:
    for _ in range(1_000):
        account(1).charge(ordinary(60_000), 60_000)

    assert account(1).spent() == 0


def test_what_is_owed_is_paid_off_in_time(clock: Clock) -> None:
    owing(1, STREAM)
    assert account(1).seconds(9) == 0

    clock.now = STREAM / 2 / STREAM_PAYS

    assert account(1).spent() == pytest.approx(0.5)
    assert account(1).seconds(0) == pytest.approx(ordinary(0) + STREAM / 2)
    assert account(2, "user:ben").spent() == 0


def test_an_owner_cannot_begin_anew_with_another_agent(clock: Clock) -> None:
    for ident in range(100, 100 + round(OWNER / STREAM)):
        owing(ident, STREAM)

    assert account(1).seconds(9) == 0
    assert account(2, "user:ben").spent() == 0


def test_who_owes_too_much_is_shown_plain_at_once(renderer: Renderer, clock: Clock) -> None:
    owing(1, STREAM * 0.9)
    with on_behalf_of(stream(1)):
        assert renderer.blocks(ENDLESS) == (as_it_is(ENDLESS),)
        assert renderer.processes.ended == 1
        assert renderer.blocks(LONG) == (as_it_is(LONG),)
        assert renderer.processes.ended == 1
        assert renderer.processes.pids() == set(), "a process was started for it"
    with on_behalf_of(stream(2, "user:ben")):
        assert renderer.blocks(LONG + "x") == whole(LONG + "x")

    clock.now = 10 / STREAM_PAYS

    with on_behalf_of(stream(1)):
        assert renderer.blocks(LONG) == whole(LONG)


def test_who_owes_least_comes_first_and_of_these_the_shortest_text(clock: Clock) -> None:
    processes, served = RenderProcesses(1), list[str]()
    queue = processes._queue

    def wait(name: str, whose: Account, size: int) -> None:
        with processes._turn(Turn(whose, size)):
            served.append(name)

    def waits(number: int) -> bool:
        return len(queue.waiting) == number

    asked = [
        ("owes much", owing(1, 0.9 * STREAM), 1),
        ("owes little", owing(2, 0.2 * STREAM, "user:eve"), 1),
        ("long", account(3, "user:ben"), 90_000),
        ("short", account(4, "user:ben"), 9_000),
    ]
    with ThreadPoolExecutor(4) as threads, processes._turn(Turn(NOBODY, 1)):
        for number, each in enumerate(asked, 1):
            threads.submit(wait, *each)
            wait_until(partial(waits, number), "it to wait", 10)

    assert served == ["short", "long", "owes little", "owes much"]


def test_one_place_is_kept_from_long_texts() -> None:
    queue = Queue(3)
    long, short = [Turn(NOBODY, budget.LONG + 1) for _ in range(3)], [Turn(NOBODY, 9) for _ in range(2)]
    queue.waiting += long
    for turn in long[:2]:
        assert queue.next() is turn
        queue.begin(turn)
    assert queue.next() is None

    queue.waiting += short

    assert queue.next() is short[0]
    queue.begin(short[0])
    assert queue.next() is None


def test_who_comes_to_owe_too_much_while_waiting_gets_no_process(clock: Clock) -> None:
    processes, mine = RenderProcesses(1), account(1)
    with ThreadPoolExecutor(1) as threads:
        with processes._turn(Turn(NOBODY, 1)):
            found = threads.submit(processes.blocks, LONG, loose=False, account=mine)
            wait_until(lambda: bool(processes._queue.waiting), "it to wait", 10)
            mine.charge(STREAM, 0, in_vain=True)
        with pytest.raises(NotNowError):
            found.result(10)
    assert processes.pids() == set()


async def test_turns_go_to_who_owes_least_at_that_moment(clock: Clock) -> None:
    turns, served = Turns(1), list[str]()
    begun = asyncio.Event()

    async def ask(name: str, whose: Account, size: int = 1) -> None:
        async with turns.turn(Turn(whose, size)):
            served.append(name)
            if name == "first":
                await begun.wait()

    tasks = [asyncio.create_task(ask("first", NOBODY))]
    ben = account(2, "user:ben")
    for name, whose, size in (
        ("hostile", account(1), 1), ("gone", NOBODY, 1), ("long", ben, 90_000), ("short", ben, 9_000),
    ):  # fmt: skip
        tasks.append(asyncio.create_task(ask(name, whose, size)))
        await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.sleep(0)
    account(1).charge(STREAM, 0, in_vain=True)
    begun.set()
    await asyncio.wait(tasks)

    assert served == ["first", "short", "long", "hostile"]
    async with turns.turn(Turn(NOBODY, 1)):
        pass


async def test_what_is_quick_passes_what_is_slow_however_much_there_is() -> None:
    """The hub shows what is quick while every thread for slow texts is held, and more wait for one."""
    go_on, under_way = threading.Event(), threading.Semaphore(0)
    hostile = 4 * (SLOW_THREADS + RENDER_THREADS)

    def render(codec: str, of: StreamInfo, after: int, events: Sequence[Event]) -> list[str]:
        if of.id < hostile:
            if budget.cannot_wait():
                raise budget.NotAtOnceError
            under_way.release()
            go_on.wait(30)
        return [of.path]

    hub = Hub(render, Bus())
    event = Event(
        0, 1, "t", "k", "insert", {}, datetime(2026, 1, 1, tzinfo=UTC), Provenance("agent:/sample/1"), None
    )
    try:
        slow = [
            asyncio.create_task(hub._rendered(stream(n), 0, ("c",), [replace(event, stream=n)]))
            for n in range(hostile)
        ]
        await asyncio.to_thread(lambda: [under_way.acquire() for _ in range(SLOW_THREADS)])

        async with asyncio.timeout(10):
            for n in range(hostile, hostile + 20):
                batch = await hub._rendered(stream(n), 0, ("c",), [replace(event, stream=n)])
                assert batch.frames == {"c": [f"/sample/{n}"]}

        assert not any(task.done() for task in slow)
        go_on.set()
        assert [(await task).frames for task in slow] == [{"c": [f"/sample/{n}"]} for n in range(hostile)]
    finally:
        go_on.set()
        await hub.stop()


def test_only_what_is_quick_is_rendered_for_who_cannot_wait(renderer: Renderer) -> None:
    with budget.at_once():
        assert renderer.blocks(FINE) == whole(FINE)
        assert len(LONG) > QUICK
        with pytest.raises(budget.NotAtOnceError):
            renderer.blocks(LONG)
    assert renderer.blocks(LONG) == whole(LONG)
    with budget.at_once():
        assert renderer.blocks(LONG) == whole(LONG), "it is remembered"
