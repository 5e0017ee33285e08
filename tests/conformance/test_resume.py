"""A run that was cut off goes on: what is done is read back, not done again, wherever the process died."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from entities.agent import loop
from entities.agent.messages import Response, Text, Usage
from entities.agent.model import BlockDelta, BlockEnded, BlockStarted, StepDone
from entities.agent.tool_calls import UNKNOWN_OUTCOME, run_calls
from entities.api import Collection, tool
from entities.testing.runtime import (
    events,
    expire,
    handle_all,
    handle_next,
    recover,
    rows,
    said_to,
    spawn,
    tell,
    texts,
    values,
)
from entities.types.registry import Registry
from tests.support.killing import Killed


class Mortal:
    """A type that thinks, with a tool; `die` says where its first process dies."""

    def __init__(self, types: Registry, *, retry_safe: bool = False) -> None:
        self.lives = 0
        self.ran: list[str] = []
        self.die: Callable[[str], None] = lambda where: None
        self.results: list[Any] = []
        self.steps: list[Any] = [[("act", {"what": "it"})], self._answer]

        @types.define("mortal", state={"mine": Collection()})
        async def mortal(ctx: Any, wake: Any) -> None:
            self.lives += 1

            @tool(retry_safe=retry_safe)
            async def act(what: str) -> str:
                """Act."""
                self.ran.append(what)
                await ctx.state.mine.upsert(key=what, value=len(self.ran))
                self._point("in the tool")
                return f"did {what}"

            async def on_step_end(step: Any) -> None:
                self._point(f"after step {step['step_number']}")

            agent = ctx.use_agent("You act.", tools=[act], test_responses=self.steps, on_step_end=on_step_end)
            self.results.append(await agent.run())
            self._point("after the run")
            await ctx.reply_text("I am done.")

    def _answer(self, request: Any) -> str:
        self._point("in step 2")
        return f"It said: {request.messages[-1].blocks[-1].content}"

    def _point(self, where: str) -> None:
        if self.lives == 1:
            self.die(where)

    async def live_and_die(self, where: str) -> str:
        """Let it run, die at a point, and be taken up by another process. Returns its address."""

        def die(here: str) -> None:
            if here == where:
                raise Killed

        self.die = die
        url = await spawn("mortal", message="go")
        with pytest.raises(Killed):
            await handle_all("first life")
        await expire(url)
        await recover()
        assert await handle_all("second life") == 1
        return url


async def require_one_of_everything(url: str) -> None:
    """One run of two steps, each completed once, and nothing left open."""
    assert [run["status"] for run in await values(url, "run")] == ["completed", "completed"]
    done = [e.value["step_number"] for e in await events(url, "step") if e.value["status"] == "completed"]
    assert done == [1, 2]
    assert {text["status"] for text in await values(url, "text")} == {"completed"}
    assert len([e for e in await events(url, "tool_call") if e.value["status"] == "completed"]) <= 1


@pytest.mark.parametrize("where", ["after step 1", "in step 2", "after step 2", "after the run"])
async def test_completed_steps_and_calls_are_read_back(types: Registry, where: str) -> None:
    mortal = Mortal(types)
    url = await mortal.live_and_die(where)

    assert mortal.ran == ["it"]
    assert await texts(url) == ["It said: did it", "I am done."]
    assert mortal.results[-1].text == "It said: did it"
    await require_one_of_everything(url)


async def test_a_tool_whose_outcome_is_unknown_is_not_run_again(types: Registry) -> None:
    mortal = Mortal(types)
    url = await mortal.live_and_die("in the tool")

    assert mortal.ran == ["it"]
    (call,) = await values(url, "tool_call")
    assert (call["status"], call["error"]) == ("failed", UNKNOWN_OUTCOME)
    assert await texts(url) == [f"It said: {UNKNOWN_OUTCOME}", "I am done."]
    await require_one_of_everything(url)


async def test_a_tool_that_is_safe_to_retry_is_run_again(types: Registry) -> None:
    mortal = Mortal(types, retry_safe=True)
    url = await mortal.live_and_die("in the tool")

    assert mortal.ran == ["it", "it"]
    assert await texts(url) == ["It said: did it", "I am done."]
    await require_one_of_everything(url)


async def test_what_a_dying_tool_had_changed_here_is_not_there(types: Registry) -> None:
    mortal = Mortal(types, retry_safe=True)
    url = await mortal.live_and_die("in the tool")

    assert [row["value"] for row in await values(url, "state:mine")] == [2]
    assert len(await events(url, "state:mine")) == 1


async def test_calls_that_were_asked_for_and_not_begun_are_run(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the end of the step and its first call."""
    mortal = Mortal(types)

    async def die_first(*args: Any) -> bool:
        if mortal.lives == 1:
            raise Killed
        return await run_calls(*args)

    monkeypatch.setattr(loop, "run_calls", die_first)
    url = await mortal.live_and_die("nowhere else")

    assert mortal.ran == ["it"]
    assert await texts(url) == ["It said: did it", "I am done."]
    await require_one_of_everything(url)


async def test_of_parallel_calls_only_the_incomplete_are_taken_up(types: Registry) -> None:
    ran: list[str] = []
    lives: list[int] = []
    quick_is_done = asyncio.Event()

    @types.define("juggler")
    async def juggler(ctx: Any, wake: Any) -> None:
        lives.append(1)

        @tool(retry_safe=True)
        async def throw(ball: str) -> str:
            """Throw a ball."""
            ran.append(ball)
            if ball == "slow" and len(lives) == 1:
                await quick_is_done.wait()
                raise Killed
            return f"caught {ball}"

        calls = [("throw", {"ball": "quick"}), ("throw", {"ball": "slow"})]
        await ctx.use_agent("You juggle.", tools=[throw], test_responses=[calls, "Done."]).run()

    url = await spawn("juggler", message="go")
    task = asyncio.create_task(handle_next())
    while [call["status"] for call in await values(url, "tool_call")] != ["completed", "executing"]:
        await asyncio.sleep(0.01)
    quick_is_done.set()
    with pytest.raises(Killed):
        await task
    await expire(url)
    await recover()
    await handle_all()

    assert ran == ["quick", "slow", "slow"]
    assert [call["result"] for call in await values(url, "tool_call")] == ["caught quick", "caught slow"]


async def test_a_step_that_was_cut_off_is_said_anew_and_counted_once(types: Registry) -> None:
    """Half a text is in the log already; its rows go, and the same keys come again with the whole."""
    lives: list[int] = []

    class Stammerer:
        name = "test"

        async def stream(self, request: Any) -> Any:
            yield BlockStarted(0, "text")
            yield BlockDelta(0, "Once upon ")
            if len(lives) == 1:
                while not await texts(url):
                    await asyncio.sleep(0.01)
                raise Killed
            yield BlockDelta(0, "a time.")
            yield BlockEnded(0)
            yield StepDone(
                Response((Text("Once upon a time."),), "end_turn", Usage(5, 4), "m", "test", cost_usd=0.5)
            )

        async def aclose(self) -> None:
            pass

    @types.define("teller")
    async def teller(ctx: Any, wake: Any) -> None:
        lives.append(1)
        await ctx.use_agent("You tell.").run()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "get_provider", lambda alias: Stammerer())
        url = await spawn("teller", message="go")
        with pytest.raises(Killed):
            await handle_all()
        assert [text["status"] for text in await values(url, "text")] == ["streaming"]
        await expire(url)
        await recover()
        await handle_all()

    (text,) = await rows(url, "text")
    assert (text.key, text.value["content"]) == ("1.0-s1-b0", "Once upon a time.")
    kept = [e for e in await events(url, "text_delta") if e.offset > text.created]
    assert "".join(event.value["delta"] for event in kept) == "Once upon a time."
    (step,) = await values(url, "step")
    assert (step["output_tokens"], step["cost_usd"]) == (4, 0.5)
    completed = [e for e in await events(url, "step") if e.value["status"] == "completed"]
    assert len(completed) == 1


async def test_the_window_of_a_resumed_run_is_what_it_would_have_been(types: Registry) -> None:
    """Messages that arrived after the crash are not part of it."""
    windows: list[list[str]] = []
    lives: list[int] = []

    @types.define("reader")
    async def reader(ctx: Any, wake: Any) -> None:
        lives.append(1)

        def look(request: Any) -> str:
            windows.append([message.text for message in request.messages])
            if len(lives) == 1:
                raise Killed
            return "read"

        await ctx.use_agent("You read.", test_responses=[look]).run()

    url = await spawn("reader", message="first")
    with pytest.raises(Killed):
        await handle_all()
    await tell(url, "second")
    await expire(url)
    await recover()
    await handle_all()

    assert windows == [["first"], ["first"], ["first", "read", "second"]]


async def test_a_handler_knows_that_its_wake_was_cut_off_in_a_run(types: Registry) -> None:
    """What it decides by its state may have been changed by that very run."""
    seen: list[tuple[bool, str]] = []

    @types.define("closer", state={"door": Collection()})
    async def closer(ctx: Any, wake: Any) -> None:
        door = await ctx.state.door.get("d") or {"is": "open"}
        seen.append((ctx.resuming, door["is"]))
        if door["is"] == "closed" and not ctx.resuming:
            return

        @tool(retry_safe=True)
        async def close() -> str:
            """Close the door."""
            await ctx.state.door.insert({"key": "d", "is": "closed"})
            return "closed"

        def answer(request: Any) -> str:
            if len(seen) == 1:
                raise Killed
            return "The door is closed."

        await ctx.use_agent("You close.", tools=[close], test_responses=[[("close", {})], answer]).run()

    url = await spawn("closer", message="close it")
    with pytest.raises(Killed):
        await handle_all()
    await expire(url)
    await recover()
    await handle_all()
    await tell(url, "and now?")
    await handle_all()

    assert seen == [(False, "open"), (True, "closed"), (False, "closed")]
    assert await texts(url) == ["The door is closed."]


# -- the setup pass


@pytest.fixture
def setups(types: Registry) -> list[bool]:
    """A type that makes a child in its first wake; returns what `first_wake` was in each."""
    seen: list[bool] = []

    @types.define("child")
    async def child(ctx: Any, wake: Any) -> None:
        pass

    @types.define("founder")
    async def founder(ctx: Any, wake: Any) -> None:
        seen.append(ctx.first_wake)
        if wake.payload == "wait":
            return
        if ctx.first_wake:
            await ctx.spawn("child", "only", initial_message="hello")
        if wake.payload == "die" and len(seen) == 1:
            raise Killed

    return seen


async def test_the_first_wake_lasts_until_something_is_set_up(setups: list[bool]) -> None:
    url = await spawn("founder", message="wait")
    await handle_all()
    for word in ("go", "again"):
        await tell(url, word)
        await handle_all()

    assert setups == [True, True, False]


async def test_a_first_wake_that_is_repeated_is_still_the_first(setups: list[bool]) -> None:
    """The manifest holds what this very wake had set up before the crash; that does not count."""
    url = await spawn("founder", message="die")
    with pytest.raises(Killed):
        await handle_next()
    assert len(await rows(url, "manifest")) == 1
    await expire(url)
    await recover()
    await handle_all()

    assert setups == [True, True]
    assert len(await rows(url, "manifest")) == 1
    assert await said_to("/child/only") == ["hello"]
