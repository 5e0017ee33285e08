"""Tool calls: side by side, once, with what they change and what they answer in one transaction."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from entities.agent.messages import Response, ToolCall, Usage
from entities.api import Collection, SharedStateSchema, ToolError, ToolResult, db, tool
from entities.testing.runtime import (
    events,
    expire,
    handle_next,
    recover,
    rows,
    said_to,
    spawn,
    texts,
    values,
    wakes,
)
from entities.toolbox.shared import shared_tools
from entities.types.registry import Registry
from tests.support.calling import Caller

SCHEMA = SharedStateSchema(notes=Collection())


async def test_a_call_is_logged_from_its_first_word_to_its_result(types: Registry) -> None:
    caller = Caller(types, ("greet", {"name": "Ada"}))

    @tool
    async def greet(name: str) -> str:
        """Greet somebody."""
        return f"Hello {name}"

    caller.tools = lambda ctx: [greet]
    url = await caller.call()

    (call,) = await values(url, "tool_call")
    assert (call["key"], call["tool_name"], call["args"], call["result"]) == (
        "1.0-s1-b0",
        "greet",
        {"name": "Ada"},
        "Hello Ada",
    )
    assert call["duration_ms"] >= 0
    assert [event.value["status"] for event in await events(url, "tool_call")] == [
        "started",
        "args_complete",
        "executing",
        "completed",
    ]
    assert "".join(e.value["delta"] for e in await events(url, "tool_call_delta")) == '{"name": "Ada"}'
    assert caller.seen == [("Hello Ada", False)]


async def test_the_calls_of_a_step_run_side_by_side(types: Registry) -> None:
    caller = Caller(types, ("meet", {"who": "a"}), ("meet", {"who": "b"}))
    both = asyncio.Barrier(2)

    @tool
    async def meet(who: str) -> str:
        """Wait for the other."""
        async with asyncio.timeout(5):
            await both.wait()
        return who

    caller.tools = lambda ctx: [meet]
    await caller.call()

    assert caller.seen == [("a", False), ("b", False)]


async def test_a_plain_function_may_block(types: Registry) -> None:
    caller = Caller(types, ("slow", {}))

    @tool
    def slow() -> int:
        """Compute."""
        return sum(range(10))

    caller.tools = lambda ctx: [slow]
    await caller.call()
    assert caller.seen == [("45", False)]


async def test_what_a_tool_changes_and_its_result_are_one_transaction(types: Registry) -> None:
    caller = Caller(types, ("note", {"text": "milk"}))

    def tools(ctx: Any) -> list[Any]:
        @tool
        async def note(text: str) -> str:
            """Write a note and tell everybody."""
            await ctx.state.mine.insert(key="n1", text=text)
            await ctx.send(ctx.entity_url, f"noted {text}")
            return "noted"

        return [note]

    caller.tools = tools
    url = await caller.call()

    (row,) = await rows(url, "state:mine")
    done = [event for event in await events(url, "tool_call") if event.value["status"] == "completed"]
    assert row.updated_at == done[0].timestamp
    assert (row.provenance.tool_call, row.provenance.run) == ("1.0-s1-b0", "1.0")
    assert await said_to(url) == ["go", "noted milk"]


async def test_a_tool_that_raises_is_a_failed_call_and_changes_nothing(types: Registry) -> None:
    caller = Caller(types, ("note", {"text": "milk"}))

    def tools(ctx: Any) -> list[Any]:
        @tool
        async def note(text: str) -> str:
            """Write a note, and break."""
            await ctx.state.mine.insert(key="n1", text=text)
            await ctx.send(ctx.entity_url, f"noted {text}")
            raise ValueError("the pen is broken")

        return [note]

    caller.tools = tools
    url = await caller.call()

    assert caller.seen == [("ValueError: the pen is broken", True)]
    assert await rows(url, "state:mine") == []
    assert await said_to(url) == ["go"]
    (call,) = await values(url, "tool_call")
    assert (call["status"], call["error"]) == ("failed", "ValueError: the pen is broken")
    assert await texts(url) == ["Done."]


async def test_a_result_of_any_letters_and_a_long_complaint_are_cut_to_what_the_log_takes(
    types: Registry,
) -> None:
    caller = Caller(types, ("read", {}), ("fail", {}))

    @tool
    async def read() -> str:
        """Read a long text."""
        return "\x00" + "語" * 89_999

    @tool
    async def fail() -> str:
        """Fail at length."""
        raise ValueError("x" * 400_000)

    caller.tools = lambda ctx: [read, fail]
    url = await caller.call()

    (read_it, bad), (complaint, failed) = caller.seen
    assert not bad
    assert read_it.startswith("\ufffd語")
    assert read_it.endswith("[Cut here: the result has 90,000 characters, the first 50,000 are above.]")
    assert failed
    assert complaint.startswith("ValueError: xxx")
    assert complaint.endswith("of 400,012 characters.]")
    assert [call["status"] for call in await values(url, "tool_call")] == ["completed", "failed"]


async def test_a_tools_own_words_reach_the_model_as_they_are(types: Registry) -> None:
    caller = Caller(types, ("refuse", {}))

    @tool
    async def refuse() -> str:
        """Refuse."""
        raise ToolError("Only on Sundays.")

    caller.tools = lambda ctx: [refuse]
    await caller.call()
    assert caller.seen == [("Only on Sundays.", True)]


async def test_of_two_calls_that_write_the_same_row_one_fails(types: Registry) -> None:
    """They are worked out side by side; the commit decides, and the model hears of it."""
    caller = Caller(types, ("claim", {"who": "a"}), ("claim", {"who": "b"}))
    both = asyncio.Barrier(2)

    def tools(ctx: Any) -> list[Any]:
        @tool
        async def claim(who: str) -> str:
            """Take the only seat."""
            await ctx.state.mine.insert(key="seat", who=who)
            await both.wait()
            return "It is yours."

        return [claim]

    caller.tools = tools
    url = await caller.call()

    assert sorted(failed for _, failed in caller.seen) == [False, True]
    assert "There is a state:mine with key 'seat' already" in next(said for said, bad in caller.seen if bad)
    assert len(await rows(url, "state:mine")) == 1


async def test_when_the_lease_is_lost_no_call_goes_on(types: Registry) -> None:
    caller = Caller(types, ("lose", {}), ("wait", {}))
    ends: list[str] = []
    waiting = asyncio.Event()

    def tools(ctx: Any) -> list[Any]:
        @tool
        async def lose() -> str:
            """Come too late."""
            await waiting.wait()
            await expire(ctx.entity_url)
            await recover()
            return "too late"

        @tool
        async def wait() -> str:
            """Wait for ever."""
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                ends.append("cancelled")
            return "never"

        return [lose, wait]

    caller.tools = tools
    await spawn("caller", message="go")
    await handle_next()

    assert ends == ["cancelled"]


async def test_an_unknown_tool_is_a_failed_call_that_names_the_tools(types: Registry) -> None:
    caller = Caller(types, ("gret", {}))

    @tool
    async def greet() -> str:
        """Greet."""
        return "Hello"

    caller.tools = lambda ctx: [greet]
    await caller.call()
    assert caller.seen == [("There is no tool 'gret'; there are greet.", True)]


async def test_wrong_arguments_are_a_failed_call_and_the_tool_is_not_run(types: Registry) -> None:
    caller = Caller(types, ("add", {"a": "x"}))
    ran: list[int] = []

    @tool
    async def add(a: int, b: int) -> int:
        """Add."""
        ran.append(1)
        return a + b

    caller.tools = lambda ctx: [add]
    await caller.call()

    ((said, failed),) = caller.seen
    assert failed
    assert said.startswith("Wrong arguments for add: ")
    assert "'b' is missing" in said
    assert ran == []


async def test_arguments_that_are_not_json_are_a_failed_call(types: Registry) -> None:
    caller = Caller(types)
    call = ToolCall("t1", "add", {}, invalid='{"a": ')
    caller.steps[0] = Response((call,), "tool_use", Usage(), "m", "test")

    @tool
    async def add() -> int:
        """Add."""
        return 1

    caller.tools = lambda ctx: [add]
    url = await caller.call()

    assert caller.seen == [('The arguments were not a JSON object: {"a": ', True)]
    assert [call["status"] for call in await values(url, "tool_call")] == ["failed"]


async def test_a_tool_can_end_the_run(types: Registry) -> None:
    caller = Caller(types, ("finish", {}))

    @tool
    async def finish() -> ToolResult:
        """Finish."""
        return ToolResult("That is all.", details={"pages": 3}, terminate=True)

    caller.tools = lambda ctx: [finish]
    url = await caller.call()

    assert await texts(url) == []
    assert [run["finish_reason"] for run in await values(url, "run")] == ["terminated"]
    (call,) = await values(url, "tool_call")
    assert (call["result"], call["details"]) == ("That is all.", {"pages": 3})


async def test_two_tools_of_one_name_are_refused(types: Registry) -> None:
    caller = Caller(types)

    @tool(name="same")
    async def one() -> str:
        """One."""
        return "1"

    @tool(name="same")
    async def two() -> str:
        """Two."""
        return "2"

    caller.tools = lambda ctx: [one, two]
    url = await caller.call()

    assert "Two tools are named 'same'" in (await wakes(url))[0].error


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("full", ["write_notes", "read_notes", "update_notes", "delete_notes"]),
        ("write-only", ["write_notes"]),
    ],
)
async def test_a_shared_state_gives_its_tools(types: Registry, mode: Any, names: list[str]) -> None:
    caller = Caller(types, ("write_notes", {"key": "n1", "text": "milk"}))
    offered: list[str] = []

    async def tools(ctx: Any) -> list[Any]:
        shared = await (ctx.mkdb("board", SCHEMA) if ctx.first_wake else ctx.observe(db("board")))
        made = shared_tools(shared, mode)
        offered.extend(each.name for each in made)
        return made

    caller.tools = tools
    await caller.call()

    assert offered == names
    assert [row["text"] for row in await values("shared:board", "shared:notes")] == ["milk"]
    assert caller.seen == [("Wrote notes n1.", False)]


async def test_the_shared_tools_read_update_and_delete(types: Registry) -> None:
    caller = Caller(types)
    caller.steps = [
        [("write_notes", {"key": "n1", "text": "milk"}), ("write_notes", {"key": "n2", "text": "bread"})],
        [("update_notes", {"key": "n1", "text": "oat milk"}), ("delete_notes", {"key": "n2"})],
        [("read_notes", {}), ("read_notes", {"key": "n2"}), ("update_notes", {"key": "n2"})],
        caller._look,
    ]

    async def tools(ctx: Any) -> list[Any]:
        return shared_tools(await ctx.mkdb("board", SCHEMA))

    caller.tools = tools
    await caller.call()

    everything, one, missing = caller.seen
    assert json.loads(everything[0]) == [{"key": "n1", "text": "oat milk"}]
    assert one == ("There is no notes 'n2'.", False)
    assert missing == ("There is no row 'n2' in notes to update.", True)
