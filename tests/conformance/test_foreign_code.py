"""What tools and handlers raise, of any kind, ends that call or that attempt and is said."""

import argparse
import asyncio
import contextlib
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, field_validator

from entities.api import InvalidInput, deliver_now, tool
from entities.testing.runtime import ADA, configured, quiet, spawn, values, wakes, working
from entities.types.registry import Registry
from shared_state.api import in_thread


class Odd(BaseException):
    """Derives from what nobody catches."""


def nothing_left() -> None:
    next(iter(()))


def exits() -> None:
    argparse.ArgumentParser().parse_args(["--bogus"])


def raises(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


KINDS: dict[str, Callable[[], None]] = {
    "SystemExit": exits,
    "KeyboardInterrupt": raises(KeyboardInterrupt()),
    "StopIteration": nothing_left,
    "StopAsyncIteration": raises(StopAsyncIteration()),
    "GeneratorExit": raises(GeneratorExit()),
    "Odd": raises(Odd("very")),
    "BaseExceptionGroup": raises(BaseExceptionGroup("several", [Odd("one"), SystemExit(2)])),
    "CancelledError": raises(asyncio.CancelledError()),
    "ValueError": raises(ValueError("odd")),
}


async def cancelled_inside() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


def a_type(types: Registry, work: Callable[[], Any], *, plain: bool) -> list[int]:
    calls: list[int] = []

    @types.define("odd")
    async def odd(ctx: Any, wake: Any) -> None:
        @tool(retry_safe=True)
        def plainly() -> str:
            """Do it."""
            calls.append(1)
            work()
            return ""

        @tool(retry_safe=True)
        async def awaited() -> str:
            """Do it."""
            calls.append(1)
            result = work()
            if result is not None:
                await result
            return ""

        do = plainly if plain else awaited
        await ctx.use_agent("x", tools=[do], test_responses=[[(do.name, {})], "done"]).run()

    return calls


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_tool_raises_ends_that_call_and_is_said(types: Registry, kind: str, plain: bool) -> None:
    calls = a_type(types, KINDS[kind], plain=plain)

    url = await spawn("odd", message="go")
    async with working() as worker:
        await quiet(worker)

    (call,) = await values(url, "tool_call")
    (wake,) = await wakes(url)
    assert (call["status"], wake.state, len(calls)) == ("failed", "done", 1)
    assert kind in call["error"]


async def test_a_task_that_a_tool_cancels_itself_is_a_failed_call(types: Registry) -> None:
    calls = a_type(types, cancelled_inside, plain=False)

    url = await spawn("odd", message="go")
    async with working() as worker:
        await quiet(worker)

    (call,) = await values(url, "tool_call")
    assert (call["status"], len(calls)) == ("failed", 1)
    assert "CancelledError" in call["error"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_handler_raises_counts_as_a_failed_attempt(types: Registry, kind: str) -> None:
    calls: list[int] = []

    @types.define("odd")
    async def odd(ctx: Any, wake: Any) -> None:
        calls.append(1)
        if kind == "CancelledError":
            await cancelled_inside()
        KINDS[kind]()

    with configured(MAX_ATTEMPTS=2):
        url = await spawn("odd", message="go")
        async with working() as worker:
            await quiet(worker)

    (wake,) = await wakes(url)
    assert (wake.state, wake.attempts, len(calls)) == ("parked", 2, 2)
    assert kind in wake.error


async def test_our_own_cancellation_is_told_apart_from_theirs(types: Registry) -> None:
    began = asyncio.Event()

    @types.define("waits")
    async def waits(ctx: Any, wake: Any) -> None:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):  # foreign code may well swallow it
            await asyncio.sleep(600)

    url = await spawn("waits", message="go")
    async with working() as worker:
        await began.wait()
        await worker.stop(grace=0)

    (wake,) = await wakes(url)
    assert (wake.state, wake.attempts) == ("pending", 0)  # handed back, and no failure


async def test_a_tool_that_takes_too_long_is_given_up(types: Registry) -> None:
    @types.define("slow")
    async def slow(ctx: Any, wake: Any) -> None:
        @tool(timeout=0.05)
        async def wait() -> str:
            """Wait."""
            await asyncio.sleep(600)
            return ""

        await ctx.use_agent("x", tools=[wait], test_responses=[[("wait", {})], "done"]).run()

    url = await spawn("slow", message="go")
    async with working() as worker:
        await quiet(worker)

    (call,) = await values(url, "tool_call")
    assert "wait took longer than 0.05 s" in call["error"]


async def test_a_handler_that_takes_too_long_is_given_up(types: Registry) -> None:
    @types.define("slow", timeout=0.05)
    async def slow(ctx: Any, wake: Any) -> None:
        await asyncio.sleep(600)

    with configured(MAX_ATTEMPTS=1):
        url = await spawn("slow", message="go")
        async with working() as worker:
            await quiet(worker)

    (wake,) = await wakes(url)
    assert wake.state == "parked"
    assert "slow took longer than 0.05 s" in wake.error


async def test_what_arguments_are_validated_with_ends_its_call_alone(types: Registry) -> None:
    def exits_for(value: str) -> str:
        raise SystemExit(value)

    @types.define("odd")
    async def odd(ctx: Any, wake: Any) -> None:
        @tool
        def plainly(value: Annotated[str, AfterValidator(exits_for)]) -> None:
            """Never runs."""

        @tool
        async def later(value: Annotated[str, AfterValidator(exits_for)]) -> None:
            """Never runs."""

        calls: list[Any] = [("plainly", {"value": "a"}), ("later", {"value": "b"})]
        await ctx.use_agent("x", tools=[plainly, later], test_responses=[calls, "done"]).run()

    url = await spawn("odd", message="go")
    async with working() as worker:
        await quiet(worker)

    assert ["SystemExit" in call["error"] for call in await values(url, "tool_call")] == [True, True]
    assert [wake.state for wake in await wakes(url)] == ["done"]


async def test_what_messages_are_validated_with_refuses_the_message_alone(types: Registry) -> None:
    class Order(BaseModel):
        item: str

        @field_validator("item")
        @classmethod
        def exits(cls, value: str) -> str:
            raise SystemExit(value)

    @types.define("shop", inbox_schemas={"order": Order})
    async def shop(ctx: Any, wake: Any) -> None: ...

    url = await spawn("shop")
    with pytest.raises(InvalidInput, match="SystemExit"):
        await in_thread(deliver_now, ADA, url, {"item": "ship"}, message_type="order")
