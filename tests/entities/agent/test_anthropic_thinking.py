"""Signed reasoning goes back in a tool loop, and never stands in the way of an answer."""

import pytest

from entities.agent.messages import Block, Message, Response, Text, Thinking, ToolCall
from entities.agent.providers.anthropic import AnthropicProvider
from tests.entities.agent.asking import SEARCH, answered, request, response_of, user
from tests.support.anthropic_replies import Reply
from tests.support.anthropic_server import KEY, AnthropicServer

CALL = ToolCall("toolu_1", "search", {"query": "leases"})
THOUGHT: list[Block] = [Thinking("I should search."), Thinking("", redacted="opaque"), CALL]
OPTIONS = {"tools": (SEARCH,), "thinking": "high"}


async def first_step(api: AnthropicServer, provider: AnthropicProvider, model: str) -> Response:
    """A step that thinks and calls a tool."""
    api.add(Reply(THOUGHT), Reply([Text("Found.")]))
    return await response_of(provider, request(user("Find it."), model=model, **OPTIONS))


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5", "claude-haiku-4-5"])
async def test_thinking_goes_back_unchanged_with_the_tools_answer(
    api: AnthropicServer, provider: AnthropicProvider, model: str
) -> None:
    step = await first_step(api, provider, model)
    goes_on = (user("Find it."), Message("assistant", step.blocks), answered("toolu_1", "Leases end."))
    response = await response_of(provider, request(*goes_on, model=model, **OPTIONS))
    assert response.text == "Found."
    assert [each.refused for each in api.requests] == ["", ""]
    sent_back = api.bodies[1]["messages"][1]["content"]
    assert [block["type"] for block in sent_back] == ["thinking", "redacted_thinking", "tool_use"]


async def test_thinking_that_belongs_to_an_older_window_is_left_out_on_a_second_try(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    step = await first_step(api, provider, "claude-opus-5-5")
    goes_on = (user("Find them."), Message("assistant", step.blocks), answered("toolu_1", "Leases end."))
    response = await response_of(provider, request(*goes_on, model="claude-opus-5-5", **OPTIONS))
    assert response.text == "Found."
    assert "bound to a different conversation" in api.requests[1].refused
    assert [block["type"] for block in api.bodies[1]["messages"][1]["content"]] == ["tool_use"]


async def test_server_that_can_drop_stale_thinking_is_asked_to(api: AnthropicServer) -> None:
    provider = AnthropicProvider(KEY, api.url, drops_stale_thinking=True)
    step = await first_step(api, provider, "claude-opus-5-5")
    goes_on = (user("Find them."), Message("assistant", step.blocks), answered("toolu_1", "Leases end."))
    await response_of(provider, request(*goes_on, model="claude-opus-5-5", **OPTIONS))
    assert [each.refused for each in api.requests] == ["", ""]
    assert api.bodies[1]["thinking"]["block_binding"] == {"prefix_mismatch_behavior": "drop_block"}
    await provider.aclose()


async def test_older_model_does_without_thinking_where_the_loop_began_without(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Reply([Text("Found.")]))
    goes_on = (user("Find it."), Message("assistant", (CALL,)), answered("toolu_1", "Leases end."))
    await response_of(provider, request(*goes_on, model="claude-haiku-4-5", **OPTIONS))
    assert "thinking" not in api.bodies[0]


async def test_thinking_is_not_sent_to_a_model_that_must_not_think(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    step = await first_step(api, provider, "claude-haiku-5-5")
    goes_on = (user("Changed."), Message("assistant", step.blocks), answered("toolu_1", "Leases end."))
    await response_of(provider, request(*goes_on, model="claude-haiku-5-5", tools=(SEARCH,)))
    assert [each.refused for each in api.requests] == ["", ""]
    assert [block["type"] for block in api.bodies[1]["messages"][1]["content"]] == ["tool_use"]
