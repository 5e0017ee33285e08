"""SIGINT: the present run stops within a second, says so, and the entity is ready for the next message."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from entities import api
from entities.api import EntityNotFound, InvalidInput, RunFinished, tool
from entities.models import Entity, Wake
from entities.testing.runtime import (
    ADA,
    CLEO,
    claim_one,
    configured,
    entity,
    events,
    handle_all,
    offline,
    quiet,
    spawn,
    tell,
    texts,
    until,
    values,
    wakes,
    working,
)
from entities.types.registry import Registry
from entities.worker import runtime
from shared_state.api import get_stream, read
from shared_state.notify import bus

STORY = "Please tell me a long story about the sea."


@pytest.fixture(autouse=True)
def slow_speech() -> Any:
    """The offline model speaks slowly enough to be interrupted."""
    with configured(PROVIDERS=offline(20)):
        yield


@pytest.fixture
def talker(types: Registry) -> None:
    """A type that talks with the offline model."""

    @types.define("talker")
    async def talker(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You talk.").run()


async def until_it_talks(url: str) -> None:
    """Wait for the first word."""
    await until(lambda: read(get_stream(url).id, types=["text_delta"]), "the first word")


@pytest.mark.usefixtures("talker")
async def test_a_running_model_call_is_aborted_within_a_second() -> None:
    url = await spawn("talker", message=STORY)
    async with working() as worker:
        await until_it_talks(url)
        began = time.monotonic()
        outcome = await api.signal(ADA, url, "SIGINT", reason="enough")
        await quiet(worker)
        took = time.monotonic() - began

    assert outcome == "run interrupted"
    assert took < 1
    (run,) = await values(url, "run")
    assert (run["status"], run["finish_reason"]) == ("failed", "aborted")
    assert run["ended_at"] is not None


@pytest.mark.usefixtures("talker")
async def test_what_was_said_stays_and_nothing_is_left_open() -> None:
    url = await spawn("talker", message=STORY)
    async with working() as worker:
        await until_it_talks(url)
        await api.signal(ADA, url, "SIGINT")
        await quiet(worker)

    (text,) = await values(url, "text")
    said = "".join(event.value["delta"] for event in await events(url, "text_delta"))
    assert (text["status"], text["content"]) == ("completed", said)
    assert said
    assert [step["status"] for step in await values(url, "step")] == ["failed"]
    (error,) = await values(url, "error")
    assert (error["error_code"], error["message"]) == ("aborted", "Stopped.")
    assert (await entity(url)).status == "idle"
    assert [wake.state for wake in await wakes(url)] == [Wake.State.DONE]


@pytest.mark.usefixtures("talker")
async def test_the_signal_is_in_the_log_with_its_sender_and_outcome() -> None:
    url = await spawn("talker", message=STORY)
    async with working() as worker:
        await until_it_talks(url)
        await api.signal(ADA, url, "SIGINT", reason="enough")
        await quiet(worker)

    (signal,) = await values(url, "signal")
    assert (signal["signal"], signal["sender"], signal["reason"]) == ("SIGINT", "user:ada", "enough")
    assert (signal["status"], signal["outcome"], signal["previous_state"]) == (
        "handled",
        "run interrupted",
        "running",
    )


@pytest.mark.usefixtures("talker")
async def test_the_next_message_is_answered() -> None:
    url = await spawn("talker", message=STORY)
    async with working() as worker:
        await until_it_talks(url)
        await api.signal(ADA, url, "SIGINT")
        await quiet(worker)
        with configured(PROVIDERS=offline(0)):
            await tell(url, "Hello!")
            await quiet(worker)

    assert [run["status"] for run in await values(url, "run")] == ["failed", "completed"]


@pytest.mark.usefixtures("talker")
async def test_a_lost_nudge_delays_a_signal_by_less_than_a_second() -> None:
    url = await spawn("talker", message=STORY)
    async with working() as worker:
        await until_it_talks(url)
        bus.unlisten(worker._hear)
        began = time.monotonic()
        await api.signal(ADA, url, "SIGINT")
        await until(lambda: Wake.objects.filter(state="done").exists(), "the stop")
        took = time.monotonic() - began
        bus.listen(worker._hear)

    assert took < 1.5
    assert [run["finish_reason"] for run in await values(url, "run")] == ["aborted"]


@pytest.mark.usefixtures("talker")
async def test_many_signals_are_one_stop() -> None:
    """A second one must not interrupt the writing down of the first."""
    url = await spawn("talker", message=STORY)
    async with working() as worker:
        await until_it_talks(url)
        await asyncio.gather(*(api.signal(ADA, url, "SIGINT") for _ in range(5)))
        await quiet(worker)

    assert [run["finish_reason"] for run in await values(url, "run")] == ["aborted"]
    assert len(await values(url, "error")) == 1
    assert (await entity(url)).lease_expires_at is None


@pytest.mark.usefixtures("talker")
async def test_a_signal_to_one_that_does_not_run_changes_nothing() -> None:
    url = await spawn("talker")

    assert await api.signal(ADA, url, "SIGINT") == "nothing was running"
    with configured(PROVIDERS=offline(0)):
        await tell(url, "Hello!")
        await handle_all()
    assert [run["status"] for run in await values(url, "run")] == ["completed"]


@pytest.mark.usefixtures("talker")
async def test_a_signal_before_the_run_began_stops_it_too() -> None:
    """The wake is claimed; its handler has not been called yet."""
    url = await spawn("talker", message=STORY)
    execution = await claim_one()
    await api.signal(ADA, url, "SIGINT")
    assert execution.interrupt() is False

    await runtime.execute(execution)

    assert await values(url, "run") == []
    assert [wake.state for wake in await wakes(url)] == [Wake.State.DONE]


@pytest.mark.usefixtures("talker")
async def test_a_stop_of_the_worker_is_no_signal() -> None:
    """The run that it cuts off goes on elsewhere."""
    url = await spawn("talker", message=STORY)
    async with working(grace=0):
        await until_it_talks(url)
    assert [run["status"] for run in await values(url, "run")] == ["started"]

    with configured(PROVIDERS=offline(0)):
        async with working() as successor:
            await quiet(successor)
    assert [run["status"] for run in await values(url, "run")] == ["completed"]
    assert await values(url, "error") == []


async def test_a_running_tool_is_aborted_too(types: Registry) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    @tool
    async def dig() -> str:
        """Dig for ever."""
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "never"

    @types.define("digger")
    async def digger(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You dig.", tools=[dig], test_responses=[[("dig", {})], "Done."]).run()

    url = await spawn("digger", message="go")
    async with working() as worker:
        await entered.wait()
        await api.signal(ADA, url, "SIGINT")
        await quiet(worker)

    assert cancelled.is_set()
    (call,) = await values(url, "tool_call")
    assert (call["status"], call["error"]) == ("failed", "Stopped.")
    assert await texts(url) == []


async def test_a_handler_sees_the_signal(types: Registry) -> None:
    seen: list[bool] = []
    entered = asyncio.Event()

    @types.define("sleeper")
    async def sleeper(ctx: Any, wake: Any) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(ctx.signal.is_set())

    url = await spawn("sleeper", message="go")
    async with working() as worker:
        await entered.wait()
        await api.signal(ADA, url, "SIGINT")
        await quiet(worker)

    assert seen == [True]


@pytest.mark.usefixtures("talker")
async def test_a_parent_hears_of_a_child_that_was_stopped(types: Registry) -> None:
    reports: list[Any] = []

    @types.define("parent")
    async def parent(ctx: Any, wake: Any) -> None:
        if wake.type == "inbox":
            await ctx.spawn("talker", "t", initial_message=STORY, wake=RunFinished())
        else:
            reports.append(wake.payload["finished_child"])

    await spawn("parent", message="go")
    async with working() as worker:
        await until(lambda: Entity.objects.filter(url="/talker/t").exists(), "the child")
        await until_it_talks("/talker/t")
        await api.signal(ADA, "/talker/t", "SIGINT")
        await quiet(worker)

    assert [(report["run_status"], report["error"]) for report in reports] == [("failed", "aborted")]


@pytest.mark.usefixtures("talker")
async def test_a_signal_that_is_not_delivered_yet_is_refused() -> None:
    url = await spawn("talker")

    with pytest.raises(InvalidInput, match="'SIGWINCH' is not a signal"):
        await api.signal(ADA, url, "SIGWINCH")


@pytest.mark.usefixtures("talker")
async def test_a_stranger_cannot_signal() -> None:
    url = await spawn("talker")

    with pytest.raises(EntityNotFound):
        await api.signal(CLEO, url, "SIGINT")
