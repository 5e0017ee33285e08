"""What the Anthropic provider makes of a stream."""

import pytest

from entities.agent.messages import Block, Text, Thinking, ToolCall, Usage
from entities.agent.model import BlockDelta, BlockEnded, BlockStarted, StepDone
from entities.agent.providers.anthropic import AnthropicProvider
from tests.entities.agent.asking import SEARCH, events_of, request, response_of
from tests.support.anthropic_replies import Reply
from tests.support.anthropic_server import AnthropicServer

CALL = ToolCall("toolu_1", "search", {"query": "leases"})


async def test_text_arrives_piece_by_piece(api: AnthropicServer, provider: AnthropicProvider) -> None:
    api.add(Reply([Text("Hello there.")], piece=6))
    events = await events_of(provider, request())
    assert events[:-1] == [
        BlockStarted(0, "text"),
        BlockDelta(0, "Hello "),
        BlockDelta(0, "there."),
        BlockEnded(0),
    ]
    assert isinstance(events[-1], StepDone)
    assert events[-1].response.blocks == (Text("Hello there."),)
    assert events[-1].response.finish_reason == "end_turn"


async def test_blocks_of_all_kinds_keep_their_order(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    blocks: list[Block] = [
        Thinking("Hm.", signature="sig"),
        Thinking("", redacted="opaque"),
        Text("I look."),
        CALL,
    ]
    api.add(Reply(blocks))
    events = await events_of(provider, request(tools=(SEARCH,)))
    started = [event for event in events if isinstance(event, BlockStarted)]
    assert [event.kind for event in started] == ["thinking", "thinking", "text", "tool_call"]
    assert (started[3].tool_call_id, started[3].tool_name) == ("toolu_1", "search")
    assert isinstance(events[-1], StepDone)
    assert events[-1].response.blocks == tuple(blocks)
    assert events[-1].response.finish_reason == "tool_use"


async def test_deltas_of_a_block_joined_are_the_block(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Reply([Thinking("Let me think."), Text("Grüße 🌍, and so on.")], piece=3))
    events = await events_of(provider, request())
    joined = ["", ""]
    for event in events:
        if isinstance(event, BlockDelta):
            joined[event.index] += event.delta
    assert joined == ["Let me think.", "Grüße 🌍, and so on."]


async def test_several_calls_of_one_step_are_all_there(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    other = ToolCall("toolu_2", "search", {})
    api.add(Reply([CALL, other]))
    response = await response_of(provider, request(tools=(SEARCH,)))
    assert response.tool_calls == (CALL, other)


@pytest.mark.parametrize("raw", ['{"query": "lea', '["not an object"]', "{query: 1}"])
async def test_arguments_that_are_not_an_object_are_marked_invalid(
    api: AnthropicServer, provider: AnthropicProvider, raw: str
) -> None:
    api.add(Reply([ToolCall("toolu_1", "search", {}, invalid=raw)], stop_reason="max_tokens"))
    response = await response_of(provider, request(tools=(SEARCH,)))
    assert response.tool_calls == (ToolCall("toolu_1", "search", {}, invalid=raw),)
    assert response.finish_reason == "max_tokens"


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason", "detail"),
    [
        ("end_turn", "end_turn", ""),
        ("max_tokens", "max_tokens", ""),
        ("stop_sequence", "stop_sequence", "END"),
        ("pause_turn", "pause", ""),
        (
            "model_context_window_exceeded",
            "max_tokens",
            "The conversation has filled the model's context window.",
        ),
        ("invented_in_2027", "end_turn", "invented_in_2027"),
    ],
)
async def test_every_reason_to_stop_has_a_finish_reason(
    api: AnthropicServer, provider: AnthropicProvider, stop_reason: str, finish_reason: str, detail: str
) -> None:
    sequence = "END" if stop_reason == "stop_sequence" else None
    api.add(Reply([Text("So far")], stop_reason=stop_reason, stop_sequence=sequence))
    response = await response_of(provider, request())
    assert (response.finish_reason, response.stop_detail) == (finish_reason, detail)


async def test_unknown_reason_with_calls_means_tool_use(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Reply([CALL], stop_reason="invented_in_2027"))
    assert (await response_of(provider, request(tools=(SEARCH,)))).finish_reason == "tool_use"


async def test_refusal_says_why(api: AnthropicServer, provider: AnthropicProvider) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "This looks like malware."}
    api.add(Reply([], stop_reason="refusal", stop_details=details))
    response = await response_of(provider, request())
    assert response.finish_reason == "refusal"
    assert response.stop_detail == "cyber: This looks like malware."
    assert response.blocks == ()


async def test_calls_of_a_refused_answer_must_not_be_made(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Reply([Text("Well,"), CALL], stop_reason="refusal"))
    response = await response_of(provider, request(tools=(SEARCH,)))
    assert response.finish_reason == "refusal"
    assert response.text == "Well,"
    assert [bool(call.invalid) for call in response.tool_calls] == [True]


async def test_blocks_of_unknown_kinds_are_passed_over(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Reply([Text("Hello.")], extra=[{"type": "from_the_future", "data": "?"}]))
    events = await events_of(provider, request())
    assert events[0] == BlockStarted(0, "text")
    assert isinstance(events[-1], StepDone)
    assert events[-1].response.blocks == (Text("Hello."),)


async def test_stream_without_its_last_event_is_complete_if_it_gave_a_reason(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Reply([Text("Hello.")], end_politely=False))
    assert (await response_of(provider, request())).text == "Hello."


async def test_usage_and_cost_are_the_servers_and_the_price_lists(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    usage = Usage(input_tokens=1_000, output_tokens=2_000, cache_read_tokens=10_000, cache_write_tokens=4_000)
    api.add(Reply([Text("Hi.")], usage=usage))
    response = await response_of(provider, request(model="claude-haiku-4-5"))
    assert response.usage == usage
    # $1 and $5 a million, cache reads a tenth of the input price, cache writes five quarters of it.
    assert response.cost_usd == pytest.approx((1_000 * 1 + 2_000 * 5 + 10_000 * 0.1 + 4_000 * 1.25) / 1e6)
    assert (response.provider, response.model) == ("anthropic", "claude-haiku-4-5")


async def test_cost_of_a_model_that_is_on_no_list_is_unknown() -> None:
    from entities.agent.providers.pricing import cost_usd

    assert await cost_usd("somebodys-own-model", Usage(1, 1), provider="anthropic") is None
