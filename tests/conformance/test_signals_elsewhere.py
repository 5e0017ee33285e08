"""A signal is for the run that it was sent to, whoever goes on with it, and what the log says of it is so."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from entities import api
from entities.models import Wake
from entities.testing.runtime import (
    ADA,
    claim_one,
    configured,
    entity,
    handle_all,
    handle_next,
    offline,
    quiet,
    recover,
    spawn,
    tell,
    texts,
    until,
    values,
    wakes,
    working,
)
from entities.types.registry import Registry
from entities.wakes import lease
from entities.worker import runtime
from shared_state.api import Provenance, get_stream, read, submit
from shared_state.notify import bus

STORY = "Please tell me a long story about the sea."


@pytest.fixture(autouse=True)
def talker(types: Registry) -> Any:
    """A type that talks with the offline model, as fast as it can."""

    @types.define("talker")
    async def talker(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You talk.").run()

    with configured(PROVIDERS=offline(0)):
        yield


async def stop(url: str) -> str:
    """Ada's signal; answers its outcome."""
    return await api.signal(ADA, url, "SIGINT")


async def outcomes(url: str) -> list[str]:
    """What the log says became of signals."""
    return [value["outcome"] for value in await values(url, "signal")]


async def ends(url: str) -> list[str]:
    """How runs ended."""
    return [run["finish_reason"] for run in await values(url, "run")]


async def test_a_run_whose_worker_died_before_it_heard_is_not_gone_on_with() -> None:
    url = await spawn("talker", message=STORY)
    await claim_one("dead-worker")

    assert await stop(url) == "run interrupted"
    await recover({"dead-worker"})
    await handle_all()

    assert await texts(url) == []
    assert await ends(url) == []
    assert [wake.state for wake in await wakes(url)] == [Wake.State.DONE]
    assert await outcomes(url) == ["run interrupted"]


async def test_a_run_that_was_handed_back_before_its_worker_heard_is_stopped_elsewhere() -> None:
    with configured(PROVIDERS=offline(20)):
        url = await spawn("talker", message=STORY)
        async with working(grace=0) as worker:
            await until(lambda: read(get_stream(url).id, types=["text_delta"]), "the first word")
            bus.unlisten(worker._hear)
            assert await stop(url) == "run interrupted"

    async with working() as successor:
        await quiet(successor)

    assert await ends(url) == ["aborted"]
    assert await outcomes(url) == ["run interrupted"]
    assert (await entity(url)).lease_expires_at is None


@pytest.mark.parametrize("cut_off", ["died", "handed back", "put off"])
async def test_a_run_that_was_cut_off_can_be_stopped_while_nobody_runs_it(cut_off: str) -> None:
    """It is the agent's present run, and is stopped at once, however long its next attempt would wait."""
    url = await spawn("talker", message=STORY)
    claimed = (await claim_one("first")).claimed
    if cut_off == "died":
        await recover({"first"})
    else:
        ending = lease.handing_back(claimed) if cut_off == "handed back" else lease.failing(claimed, "x")
        await submit(ending, provenance=Provenance("system:first"), fence=claimed.fence)

    assert await stop(url) == "run interrupted"
    assert await handle_all() == 1

    assert await texts(url) == []
    assert [wake.state for wake in await wakes(url)] == [Wake.State.DONE]


async def test_the_wake_after_the_one_that_was_stopped_runs() -> None:
    url = await spawn("talker", message=STORY)
    await claim_one("dead-worker")
    await stop(url)
    await tell(url, "Hello!")
    await recover({"dead-worker"})

    await handle_all()

    assert await ends(url) == ["end_turn"]
    assert len(await texts(url)) == 1
    assert [wake.interrupted_by != "" for wake in await wakes(url)] == [True, False]


async def test_a_run_that_has_not_heard_yet_does_not_end_well(types: Registry) -> None:
    """Its last word is written under the same lock as the signal: one of them comes first."""

    @types.define("deaf")
    async def deaf(ctx: Any, wake: Any) -> None:
        async def ask_to_stop(step: Any) -> None:
            await stop(ctx.entity_url)

        await ctx.use_agent("You talk.", test_responses=["Done."], on_step_end=ask_to_stop).run()

    url = await spawn("deaf", message="go")
    await handle_next()

    assert await ends(url) == ["aborted"]
    assert await outcomes(url) == ["run interrupted"]
    assert [wake.state for wake in await wakes(url)] == [Wake.State.DONE]


async def test_work_that_is_published_as_a_run_does_not_end_well_either(types: Registry) -> None:
    @types.define("deaf")
    async def deaf(ctx: Any, wake: Any) -> None:
        async with ctx.record_run():
            await stop(ctx.entity_url)

    url = await spawn("deaf", message="go")
    await handle_next()

    assert await ends(url) == []
    assert [wake.state for wake in await wakes(url)] == [Wake.State.DONE]
    assert await outcomes(url) == ["run interrupted"]


async def test_a_signal_that_came_too_late_says_so_in_the_log(types: Registry) -> None:
    @types.define("late")
    async def late(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You talk.", test_responses=["Done."]).run()
        await stop(ctx.entity_url)

    url = await spawn("late", message="go")
    await handle_next()

    assert await ends(url) == ["end_turn"]
    assert await outcomes(url) == ["the run was over"]


async def test_a_handler_that_is_cut_off_after_its_run_says_so_in_the_log(types: Registry) -> None:
    ran = asyncio.Event()

    @types.define("busy")
    async def busy(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You talk.", test_responses=["Done."]).run()
        ran.set()
        await asyncio.Event().wait()

    url = await spawn("busy", message="go")
    async with working() as worker:
        await ran.wait()
        await stop(url)
        await quiet(worker)

    assert await ends(url) == ["end_turn"]
    assert await outcomes(url) == ["interrupted after its run"]


async def test_a_handler_that_hears_and_ends_in_its_own_way_was_interrupted(types: Registry) -> None:
    entered = asyncio.Event()

    @types.define("polite")
    async def polite(ctx: Any, wake: Any) -> None:
        entered.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    url = await spawn("polite", message="go")
    async with working() as worker:
        await entered.wait()
        await stop(url)
        await quiet(worker)

    assert await outcomes(url) == ["run interrupted"]


async def test_a_second_signal_says_that_there_was_a_first() -> None:
    url = await spawn("talker", message=STORY)
    execution = await claim_one()

    assert [await stop(url), await stop(url)] == ["run interrupted", "it was asked to stop before"]
    await runtime.execute(execution)
    assert await outcomes(url) == ["run interrupted", "it was asked to stop before"]


async def test_a_run_that_fails_after_a_signal_is_not_tried_again(types: Registry) -> None:
    tries: list[int] = []

    @types.define("broken")
    async def broken(ctx: Any, wake: Any) -> None:
        tries.append(1)
        await stop(ctx.entity_url)
        raise RuntimeError("no model today")

    url = await spawn("broken", message="go")
    with configured(MAX_ATTEMPTS=1):
        assert await handle_all() == 2

    assert len(tries) == 1
    assert [(wake.state, wake.error) for wake in await wakes(url)] == [(Wake.State.DONE, "")]
    assert (await entity(url)).status == "idle"
