"""Answers that end early or are too large: the run says so, and does no more than it should."""

from __future__ import annotations

from typing import Any

from entities.agent.messages import Response, Text, ToolCall, Usage
from entities.api import RunFinished, tool
from entities.catalog.sanitize import MAX_TEXT
from entities.testing.runtime import configured, handle_all, quiet, spawn, texts, values, working
from entities.types.registry import Registry

calls: list[str] = []


@tool
async def note(text: str) -> str:
    """Note something."""
    calls.append(text)
    return "noted"


def response(*blocks: Any, reason: Any = "tool_use", detail: str = "") -> Response:
    return Response(tuple(blocks), reason, Usage(), "model-1", "test", 0.0, stop_detail=detail)


async def think(types: Registry, *responses: Any) -> str:
    """Let an agent think once with these responses. Returns its address."""
    calls.clear()

    @types.define("thinker")
    async def thinker(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You think.", tools=[note], test_responses=list(responses)).run()

    url = await spawn("thinker", message="think")
    await handle_all()
    return url


async def test_a_refusal_ends_the_run_there_and_says_why_and_in_which_step(types: Registry) -> None:
    wanted = ToolCall("toolu_1", "note", {"text": "no"})
    url = await think(types, response(wanted, reason="refusal", detail="cyber: not that"), "Never said.")

    (error,) = await values(url, "error")
    assert error["message"] == "The model declined to answer (cyber: not that)."
    assert (error["error_code"], error["step_id"]) == ("refusal", "1.0-s1")
    assert calls == []
    assert [run["finish_reason"] for run in await values(url, "run")] == ["refusal"]
    assert [step["stop_detail"] for step in await values(url, "step")] == ["cyber: not that"]
    assert await texts(url) == []


async def test_a_full_window_is_not_called_a_limit_of_tokens(types: Registry) -> None:
    full = "The conversation has filled the model's context window."
    url = await think(types, response(Text("So f"), reason="max_tokens", detail=full))

    assert [error["message"] for error in await values(url, "error")] == [full]


async def test_a_text_that_is_too_large_for_the_log_is_cut_and_the_run_goes_well(types: Registry) -> None:
    url = await think(types, response(Text('"' * 300_000), reason="end_turn"))

    (text,) = await texts(url)
    assert text.startswith('"' * MAX_TEXT)
    assert text.endswith("[Cut here: 120,000 of 300,000 characters.]")
    assert [run["status"] for run in await values(url, "run")] == ["completed"]


async def test_a_call_with_arguments_too_large_for_the_log_fails_and_the_model_hears_why(
    types: Registry,
) -> None:
    huge = ToolCall("toolu_1", "note", {"text": "x" * 300_000})
    url = await think(types, response(huge), "I will be brief.")

    (call,) = await values(url, "tool_call")
    assert (call["status"], call["args"], call["duration_ms"]) == ("failed", {}, 0)
    assert "300,011 bytes long; 120,000 are allowed" in call["error"]
    assert call["ended_at"] is not None
    assert calls == []
    assert await texts(url) == ["I will be brief."]


async def test_a_parent_knows_that_its_child_was_parked(types: Registry) -> None:
    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        if wake.type == "inbox":
            await ctx.spawn("fragile", "f", initial_message="go", wake=RunFinished())

    @types.define("fragile")
    async def fragile(ctx: Any, wake: Any) -> None:
        raise ZeroDivisionError

    url = await spawn("boss", message="go")
    with configured(MAX_ATTEMPTS=1):
        async with working() as worker:
            await quiet(worker)

    (known,) = await values(url, "child_status")
    assert (known["entity_url"], known["status"]) == ("/fragile/f", "error")
