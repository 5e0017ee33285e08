"""What the Anthropic provider sends: the server of the tests refuses what the API would refuse."""

from typing import Any

import pytest

from entities.agent.messages import Message, Text, Thinking, ToolCall
from entities.agent.model import ModelRefused
from entities.agent.providers.anthropic import AnthropicProvider
from tests.entities.agent.asking import SEARCH, answered, request, response_of, user
from tests.support.anthropic_replies import Reply
from tests.support.anthropic_rules import MODELS
from tests.support.anthropic_server import AnthropicServer

HELLO = Reply([Text("Hello.")])
CALL = ToolCall("toolu_1", "search", {"query": "leases"})


async def sent(api: AnthropicServer, provider: AnthropicProvider, *messages: Message, **options: Any) -> Any:
    """The body that the API accepted for a request."""
    api.add(HELLO)
    await response_of(provider, request(*messages, **options))
    assert [each.refused for each in api.requests if each.refused] == []
    return api.bodies[-1]


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("thinking", ["off", "low", "medium", "high", "xhigh", "max"])
async def test_every_model_accepts_every_wish_for_thinking(
    api: AnthropicServer, provider: AnthropicProvider, model: str, thinking: str
) -> None:
    await sent(api, provider, model=model, thinking=thinking, tools=(SEARCH,))


async def test_effort_and_summaries_are_asked_of_adaptive_models(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    body = await sent(api, provider, model="claude-opus-5-5", thinking="xhigh")
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "xhigh"}


async def test_thinking_off_is_the_least_that_each_model_can_do(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    least = {
        # It cannot be turned off there; unless asked to, the model would say nothing between tool calls.
        "claude-opus-5-5": {"type": "adaptive", "display": "summarized"},
        "claude-sonnet-5-5": {"type": "between_tools"},
        "claude-haiku-5-5": {"type": "disabled"}, "claude-opus-4-8": None, "claude-haiku-4-5": None,
    }  # fmt: skip
    for model, thinking in least.items():
        body = await sent(api, provider, model=model, thinking="off")
        assert body.get("thinking") == thinking
        assert (body.get("output_config") == {"effort": "low"}) == (model == "claude-opus-5-5")


async def test_older_models_get_a_budget_below_the_limit(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    body = await sent(api, provider, model="claude-haiku-4-5", thinking="max", max_tokens=4_000)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 4_000 - 1_024}
    body = await sent(api, provider, model="claude-haiku-4-5", thinking="high", max_tokens=1_500)
    assert "thinking" not in body


async def test_unknown_effort_is_refused_before_anything_is_sent(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    with pytest.raises(ModelRefused, match="thinking='enormous' is unknown; use off, low"):
        await response_of(provider, request(thinking="enormous"))
    assert api.requests == []


async def test_conversation_with_tools_is_accepted(api: AnthropicServer, provider: AnthropicProvider) -> None:
    body = await sent(
        api, provider,
        user("Find it."),
        Message("assistant", (Text("I look."), CALL)),
        answered("toolu_1", "No such table.", is_error=True),
        Message("assistant", (Text("  "), CALL)),
        answered("toolu_1", ""),
        tools=(SEARCH,),
    )  # fmt: skip
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"] * 2 + ["user"]
    first = body["messages"][2]["content"][0]
    assert (first["content"], first["is_error"]) == ("No such table.", True)
    assert body["messages"][3]["content"] == [
        {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"query": "leases"}}
    ]
    assert body["messages"][4]["content"][0]["content"] == "(empty)"


async def test_answers_stand_before_what_a_person_says_meanwhile(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    body = await sent(
        api, provider, user("Find it."), Message("assistant", (CALL,)), user("Hurry!"),
        answered("toolu_1", "Found."), tools=(SEARCH,),
    )  # fmt: skip
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "text"]


async def test_window_that_begins_or_ends_with_the_model_is_completed(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    body = await sent(api, provider, Message("assistant", (Text("So far."),)), model="claude-opus-5-5")
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]


async def test_ids_of_other_providers_are_made_acceptable(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    call = ToolCall("call:7/ü", "search", {})
    body = await sent(
        api, provider, user("Go."), Message("assistant", (call,)), answered("call:7/ü", "ok"), tools=(SEARCH,)
    )
    assert body["messages"][1]["content"][0]["id"] == body["messages"][2]["content"][0]["tool_use_id"]


async def test_cache_marks_stand_on_tools_system_and_the_ends_of_the_last_two_turns(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    history = [
        user("One"),
        Message("assistant", (Text("1"),)),
        user("Two"),
        Message("assistant", (Text("2"),)),
    ]
    body = await sent(api, provider, *history, user("Three", "and more"), tools=(SEARCH, SEARCH_TOO))
    assert [("cache_control" in tool) for tool in body["tools"]] == [False, True]
    assert "cache_control" in body["system"][0]
    marks = [["cache_control" in block for block in message["content"]] for message in body["messages"]]
    assert marks == [[False], [False], [True], [False], [False, True]]


SEARCH_TOO = SEARCH.__class__("search_too", "Search again.", SEARCH.parameters)


async def test_same_request_gives_the_same_bytes(api: AnthropicServer, provider: AnthropicProvider) -> None:
    one = ToolCall("toolu_1", "search", {"b": 1, "a": {"d": 2, "c": 3}})
    other = ToolCall("toolu_1", "search", {"a": {"c": 3, "d": 2}, "b": 1})
    bodies = [
        await sent(
            api,
            provider,
            user("Go."),
            Message("assistant", (call,)),
            answered("toolu_1", "ok"),
            tools=(SEARCH,),
        )
        for call in (one, other)
    ]
    assert str(bodies[0]) == str(bodies[1])


async def test_thinking_without_a_signature_is_not_sent_back(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    turn = Message("assistant", (Thinking("Of the offline model."), Text("Hello.")))
    body = await sent(api, provider, user("Hi"), turn, user("Again"), thinking="high")
    assert [block["type"] for block in body["messages"][1]["content"]] == ["text"]


async def test_key_is_sent_and_never_shown(api: AnthropicServer, provider: AnthropicProvider) -> None:
    await sent(api, provider)
    assert api.requests[0].headers["authorization"] == f"Bearer {api.key}"
    assert api.requests[0].headers["x-api-key"] == api.key
    assert api.key not in repr(provider)
