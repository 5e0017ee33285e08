"""Whatever a model said or a conversation has grown to, the next message is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from entities.agent.messages import ModelRequest, Response, Text, ToolAnswer, ToolCall, Usage
from entities.agent.model import ModelRefused
from entities.agent.window import Cut, size_of, window
from entities.api import tool
from entities.testing.runtime import handle_all, spawn, tell, texts, values, wakes
from entities.types.registry import Registry

Check = Callable[[ModelRequest], None]


def response(*blocks: Any, reason: Any = "tool_use") -> Response:
    return Response(tuple(blocks), reason, Usage(), "model-1", "test", 0.0)


class Talker:
    """A type with a tool whose model answers by `says`, and refuses what `check` raises for."""

    def __init__(self, types: Registry, check: Check, result: str = "fine") -> None:
        self.asked: list[ModelRequest] = []
        self.taken: list[ModelRequest] = []
        self.says: Callable[[ModelRequest], Any] = lambda request: "hello"

        @tool(retry_safe=True)
        async def look() -> str:
            """Look."""
            return result

        def answer(request: ModelRequest) -> Any:
            self.asked.append(request)
            check(request)
            self.taken.append(request)
            return self.says(request)

        @types.define("talks")
        async def talks(ctx: Any, wake: Any) -> None:
            await ctx.use_agent("You talk.", tools=[look], test_responses=[answer]).run()


def short_ones(most: int) -> Check:
    def check(request: ModelRequest) -> None:
        if size_of(request.messages) > most:
            raise ModelRefused("prompt is too long", window="too long")

    return check


async def test_a_window_that_is_too_long_is_cut_from_its_oldest_turns_and_says_so(types: Registry) -> None:
    talker = Talker(types, short_ones(4_000))
    url = await spawn("talks")
    for number in range(12):
        await tell(url, f"{number} " + "x" * 600)
        await handle_all()

    assert [run["status"] for run in await values(url, "run")] == ["completed"] * 12
    last = talker.taken[-1].messages
    assert "oldest turns are left out" in last[0].text
    assert last[-1].text.startswith("11 ")
    assert {error["error_code"] for error in await values(url, "error")} == {"window_cut"}
    refused = len(talker.asked) - len(talker.taken)
    assert refused == 1  # what was learnt from the first refusal is kept


async def test_a_run_whose_own_results_are_too_long_goes_on_with_its_question(types: Registry) -> None:
    talker = Talker(types, short_ones(10_000), "r" * 3_000)
    talker.says = lambda request: [("look", {})] if len(talker.taken) < 9 else "done"
    url = await spawn("talks", message="the question")
    await handle_all()

    assert await texts(url) == ["done"]
    assert all("the question" in "".join(each.text for each in one.messages) for one in talker.taken)
    for request in talker.taken:
        calls = [b.id for each in request.messages for b in each.blocks if isinstance(b, ToolCall)]
        answers = [
            b.tool_call_id for each in request.messages for b in each.blocks if isinstance(b, ToolAnswer)
        ]
        assert calls == answers


async def test_one_message_that_is_too_long_by_itself_is_cut_within(types: Registry) -> None:
    Talker(types, short_ones(5_000))
    url = await spawn("talks", message="y" * 50_000)
    await handle_all()

    assert await texts(url) == ["hello"]


async def test_what_is_refused_for_an_unknown_reason_is_left_out(types: Registry) -> None:
    def check(request: ModelRequest) -> None:
        if any("poison" in each.text for each in request.messages):
            raise ModelRefused("messages.3: something is wrong with this", window="refused")

    Talker(types, check)
    url = await spawn("talks", message="poison")
    await handle_all()
    await tell(url, "and now?")
    await handle_all()
    await tell(url, "and again?")
    await handle_all()

    assert [run["status"] for run in await values(url, "run")] == ["failed", "completed", "completed"]


async def test_calls_that_a_provider_will_not_have_back_become_texts(types: Registry) -> None:
    def check(request: ModelRequest) -> None:
        if any(isinstance(block, ToolCall) for each in request.messages for block in each.blocks):
            raise ModelRefused("tool_use: no", window="refused")

    talker = Talker(types, check)
    talker.says = lambda request: [("look", {})] if len(talker.taken) == 1 else "seen"
    url = await spawn("talks", message="look")
    await handle_all()

    assert await texts(url) == ["seen"]
    assert "[It answered]\nfine" in talker.taken[-1].messages[-1].text


async def test_a_refusal_of_the_key_is_not_tried_again(types: Registry) -> None:
    def check(request: ModelRequest) -> None:
        raise ModelRefused("no such key")

    talker = Talker(types, check)
    await spawn("talks", message="hi")
    await handle_all()

    assert len(talker.asked) == 1


@pytest.mark.parametrize(
    "calls",
    [
        [ToolCall("", "look", {}), ToolCall("", "look", {})],
        [ToolCall("a b", "", {}), ToolCall("a_b", "look\x00\ud800<", {})],
        [ToolCall("x" * 9_000, "n" * 9_000, {}), ToolCall("x" * 8_000, "look", {})],
        [
            ToolCall("t", "look", {"n": 2**80}),
            ToolCall("t", "look", {"n": float("nan"), "b": b"x", "s": "\ud800"}),
        ],
    ],
)
async def test_odd_calls_are_answered_and_go_back_with_ids_and_names_that_every_api_takes(
    types: Registry, calls: list[ToolCall]
) -> None:
    talker = Talker(types, lambda request: None)
    talker.says = lambda request: response(*calls) if len(talker.taken) < 3 else "hello"
    url = await spawn("talks", message="go")
    await handle_all()

    assert ([wake.state for wake in await wakes(url)], await texts(url)) == (["done"], ["hello"])
    sent = [b for each in talker.taken[-1].messages for b in each.blocks]
    made = [block for block in sent if isinstance(block, ToolCall)]
    assert len({block.id for block in made}) == len(made) == 4
    assert all(block.id.replace("-", "_").isidentifier() or block.id[0].isdigit() for block in made)
    assert all(0 < len(block.name) <= 64 and block.name.isascii() for block in made)
    assert [block.tool_call_id for block in sent if isinstance(block, ToolAnswer)] == [b.id for b in made]


async def test_a_call_that_the_limit_cut_is_told_so_once_and_the_second_ends_the_run(types: Registry) -> None:
    talker = Talker(types, lambda request: None)
    cut = ToolCall("t", "look", {}, invalid='{"text": "aaa')
    talker.says = lambda request: response(cut, reason="max_tokens")
    url = await spawn("talks", message="go")
    await handle_all()

    assert len(talker.asked) == 2
    assert "make a shorter call" in (await values(url, "tool_call"))[0]["error"]
    assert [run["finish_reason"] for run in await values(url, "run")] == ["max_tokens"]


def test_a_window_that_is_whole_stays_as_it_is() -> None:
    from entities.agent.messages import Message

    whole = (
        Message("user", (Text("a"),)), Message("assistant", (Text("b"), ToolCall("t1", "look", {}))),
        Message("user", (ToolAnswer("t1", "c"),)),
    )  # fmt: skip
    assert window(whole, Cut()) == whole
