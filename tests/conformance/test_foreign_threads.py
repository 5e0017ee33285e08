"""Users' code that blocks holds up nobody else, and what it takes of the database it gives back."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from entities.api import tool
from entities.testing.runtime import configured, quiet, spawn, until, values, working
from entities.types import foreign
from entities.types.foreign import ForeignThreads
from entities.types.registry import Registry
from shared_state.models import RowRecord

MANY = 40  # more than the event loop's own threads
MINUTE = 60


@pytest.fixture
def leave() -> Iterator[threading.Event]:
    """What blocking tools wait for; set at the end whatever happens."""
    event = threading.Event()
    yield event
    event.set()


def runs_a_tool(types: Registry, name: str, work: Callable[[], str], **options: Any) -> None:
    @types.define(name)
    async def handler(ctx: Any, wake: Any) -> None:
        @tool(**options)
        def act() -> str:
            """Act."""
            return work()

        await ctx.use_agent("x", tools=[act], test_responses=[[("act", {})], "done"]).run()


def completed(url: str) -> Callable[[], bool]:
    return RowRecord.objects.filter(stream__path=url, type="run", value__status="completed").exists


async def test_tools_that_block_hold_up_no_other_agent(types: Registry, leave: threading.Event) -> None:
    entered = threading.Semaphore(0)

    def block() -> str:
        entered.release()
        assert leave.wait(MINUTE)
        return "ok"

    runs_a_tool(types, "slow", block)
    runs_a_tool(types, "quick", lambda: "ok")
    slow = [await spawn("slow", message="go") for _ in range(MANY)]
    async with working() as worker:
        for _ in slow:
            await asyncio.to_thread(entered.acquire, timeout=MINUTE)
        quick = await spawn("quick", message="go")
        await until(completed(quick), "the quick one has ended")
        assert foreign.threads.running >= MANY
        leave.set()
        await quiet(worker)

    for url in slow:
        assert await asyncio.to_thread(completed(url))
    assert foreign.threads.running == 0


async def test_what_a_coroutine_asks_the_database_waits_for_no_tool_that_blocks(
    types: Registry, leave: threading.Event
) -> None:
    entered = threading.Event()

    def block() -> str:
        entered.set()
        assert leave.wait(MINUTE)
        return "ok"

    runs_a_tool(types, "slow", block)

    @types.define("asking")
    async def asking(ctx: Any, wake: Any) -> None:
        await User.objects.acount()
        await ctx.use_agent("x", test_responses=["done"]).run()

    with configured(TOOL_THREADS=1):
        await spawn("slow", message="go")
        async with working() as worker:
            await asyncio.to_thread(entered.wait, MINUTE)
            url = await spawn("asking", message="go")
            await until(completed(url), "the one that asks has ended")
            assert foreign.threads.running == 1
            leave.set()
            await quiet(worker)


async def test_a_thread_that_does_not_come_back_is_counted_and_replaced(
    types: Registry, leave: threading.Event
) -> None:
    lost = foreign.threads.lost
    runs_a_tool(types, "stuck", lambda: str(leave.wait(MINUTE)), timeout=0.05)
    runs_a_tool(types, "quick", lambda: "ok")
    with configured(TOOL_THREADS=1):
        stuck = await spawn("stuck", message="go")
        async with working() as worker:
            await quiet(worker)
            assert foreign.threads.lost == lost + 1
            quick = await spawn("quick", message="go")
            await quiet(worker)

    [call] = await values(stuck, "tool_call")
    assert "act took longer than 0.05 s" in call["error"]
    assert [each["status"] for each in await values(quick, "tool_call")] == ["completed"]
    leave.set()
    await until(lambda: foreign.threads.lost == lost, "the thread came back")


def test_no_more_calls_run_at_once_than_there_are_threads(leave: threading.Event) -> None:
    threads, entered = ForeignThreads(), threading.Semaphore(0)

    def work(number: int) -> int:
        entered.release()
        assert leave.wait(MINUTE)
        return number

    with configured(TOOL_THREADS=3):
        futures = [threads.submit(work, number) for number in range(10)]
        for _ in range(3):
            assert entered.acquire(timeout=MINUTE)
        assert threads.running == 3
        assert not entered.acquire(timeout=0.05)
        leave.set()
        assert [future.result(MINUTE) for future in futures] == list(range(10))


def test_a_call_that_was_cancelled_while_it_waited_is_not_made(leave: threading.Event) -> None:
    threads, made = ForeignThreads(), list[str]()

    with configured(TOOL_THREADS=1):
        first = threads.submit(leave.wait, MINUTE)
        second = threads.submit(made.append, "second")
        assert second.cancel()
        leave.set()
        assert first.result(MINUTE)
        threads.submit(made.append, "third").result(MINUTE)

    assert made == ["third"]


async def test_what_a_tool_takes_of_the_database_is_given_back_with_its_result(types: Registry) -> None:
    seen: list[Any] = []

    def count() -> str:
        found = User.objects.count()
        seen.append(connections["default"])
        return str(found)

    @types.define("orm")
    async def orm(ctx: Any, wake: Any) -> None:
        assert await User.objects.acount() == 0

        @tool
        def plainly() -> str:
            """Count."""
            return count()

        @tool
        async def awaited() -> str:
            """Count."""
            found = await User.objects.acount()
            return str(found)

        calls: list[Any] = [("plainly", {}), ("awaited", {})]
        await ctx.use_agent("x", tools=[plainly, awaited], test_responses=[calls, "done"]).run()

    url = await spawn("orm", message="go")
    async with working() as worker:
        await quiet(worker)

    assert [call["result"] for call in await values(url, "tool_call")] == ["0", "0"]
    assert [used.connection for used in seen] == [None]  # closed, or given back to the pool
