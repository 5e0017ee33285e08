"""What becomes of a run when the Messages API fails it: through the real SDK, over the real wire.

The provider's own tests say which error a fault becomes; these say what people see of it in the log.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from entities.agent.messages import Text, Thinking, ToolCall, Usage
from entities.agent.prompt import LEFT_OUT
from entities.agent.providers import close_providers
from entities.api import signal, tool
from entities.models import Wake
from entities.testing.runtime import (
    ADA,
    anthropic,
    configured,
    counts,
    entity,
    events,
    handle_next,
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
from shared_state.api import in_thread
from shared_state.models import EventRecord
from tests.support.anthropic_replies import Fault, Reply, overloaded, rate_limited, unauthorized
from tests.support.anthropic_server import KEY, AnthropicServer

MODEL = "claude-sonnet-5-5"


@pytest.fixture
async def api(types: Registry) -> AsyncIterator[AnthropicServer]:
    """A server with nothing queued, and a type `speaker` that asks it; the SDK's own retries are off."""

    @tool
    async def look(at: str = "everything") -> str:
        """Look at something."""
        return f"{at} is fine"

    @types.define("speaker")
    async def speaker(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("Be brief.", tools=[look], thinking="high", max_retries=0, max_tokens=2_000).run()

    with AnthropicServer() as server:
        providers = anthropic(KEY, server.url)
        with configured(PROVIDERS=providers, MODEL=MODEL):
            yield server
            await close_providers()


async def speak() -> str:
    """Let a speaker handle one message to the end, retries included. Returns its address."""
    url = await spawn("speaker", message="Hello?")
    async with working() as worker:
        await quiet(worker)
    return url


async def only(url: str, type: str) -> dict[str, Any]:
    (value,) = await values(url, type)
    return value


async def test_an_answer_is_in_the_log_with_what_it_used(api: AnthropicServer) -> None:
    usage = Usage(100, 50, cache_read_tokens=30, cache_write_tokens=20)
    api.add(
        Reply([Thinking("Hm."), ToolCall("toolu_1", "look", {"at": "it"})]),
        Reply([Text("Fine.")], usage=usage),
    )
    url = await speak()

    first, second = await values(url, "step")
    assert (first["finish_reason"], second["finish_reason"]) == ("tool_use", "end_turn")
    assert (second["model_provider"], second["model_id"]) == ("anthropic", MODEL)
    assert second["cost_usd"] > 0
    counted = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    assert [second[name] for name in counted] == [100, 50, 30, 20]
    call = await only(url, "tool_call")
    assert (call["tool_call_id"], call["args"], call["result"]) == ("toolu_1", {"at": "it"}, "it is fine")
    assert (await only(url, "reasoning"))["signature"]
    assert await texts(url) == ["Fine."]
    assert [each.refused for each in api.requests if each.refused] == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (unauthorized(), "Check ANTHROPIC_API_KEY."),
        (Fault(400, "invalid_request_error", "prompt is too long"), "prompt is too long"),
        (Fault(404, "not_found_error"), "Check the model's name."),
    ],
)
async def test_what_waiting_does_not_mend_ends_the_run_at_once_and_says_so(
    api: AnthropicServer, fault: Fault, says: str
) -> None:
    api.add(fault)
    url = await speak()

    run, error = await only(url, "run"), await only(url, "error")
    assert (run["status"], run["finish_reason"]) == ("failed", "model_refused")
    assert (error["error_code"], error["run_id"]) == ("model_refused", run["key"])
    assert says in error["message"]
    assert error["timestamp"]
    assert len(api.requests) == 1
    assert [wake.state for wake in await wakes(url)] == [Wake.State.DONE]
    assert (await entity(url)).status == "idle"


async def test_without_a_key_the_run_says_what_to_set(api: AnthropicServer) -> None:
    with configured(PROVIDERS=anthropic("")):
        url = await speak()

    error = await only(url, "error")
    assert error["error_code"] == "model_refused"
    assert "Set ANTHROPIC_API_KEY" in error["message"]
    assert (await only(url, "run"))["status"] == "failed"
    assert api.requests == []


@pytest.mark.parametrize(
    "fault",
    [
        rate_limited("0.01"),
        overloaded(),
        Fault(500, "api_error"),
        Reply([Text("Hello there, Ada.")], piece=3, drop_after=5),
        Reply([Text("Hello there, Ada.")], piece=3, error_after=(5, "overloaded_error")),
    ],
    ids=["429", "529", "500", "dropped stream", "error in mid-stream"],
)
async def test_what_may_pass_is_said_and_tried_again_and_the_answer_said_once(
    api: AnthropicServer, fault: Any
) -> None:
    api.add(fault, Reply([Text("Hello there, Ada.")]))
    url = await speak()

    run, error = await only(url, "run"), await only(url, "error")
    assert (run["status"], run["finish_reason"]) == ("completed", "end_turn")
    assert (error["error_code"], error["run_id"]) == ("model_unavailable", run["key"])
    assert await texts(url) == ["Hello there, Ada."]
    assert (await counts(url))["step", "insert"] == 1
    ended = [event for event in await events(url, "step") if event.value["status"] == "completed"]
    assert len(ended) == 1
    assert [(wake.state, wake.attempts) for wake in await wakes(url)] == [(Wake.State.DONE, 2)]


async def test_what_does_not_pass_is_parked_with_the_reason(api: AnthropicServer) -> None:
    api.add(overloaded(), overloaded())
    with configured(MAX_ATTEMPTS=2):
        url = await speak()

    (wake,) = await wakes(url)
    assert wake.state == Wake.State.PARKED
    assert "model_unavailable" in wake.error
    codes = [error["error_code"] for error in await values(url, "error")]
    assert codes == ["model_unavailable", "model_unavailable", "wake_parked"]
    assert (await only(url, "run"))["status"] == "failed"
    assert (await entity(url)).status == "error"


async def test_the_wait_that_the_server_asks_for_is_kept(api: AnthropicServer) -> None:
    api.add(rate_limited("120"))
    url = await spawn("speaker", message="Hello?")
    await handle_next()

    (wake,) = await wakes(url)
    assert wake.state == Wake.State.PENDING
    assert wake.claimed_at is not None
    assert 119 < (wake.due_at - wake.claimed_at).total_seconds() < 150


async def test_a_refusal_is_said_and_the_next_message_is_answered_without_it(api: AnthropicServer) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "This looks like malware."}
    api.add(Reply([Text("Well,")], stop_reason="refusal", stop_details=details), Reply([Text("Hi!")]))
    url = await speak()

    run, error = await only(url, "run"), await only(url, "error")
    assert (run["status"], run["finish_reason"]) == ("completed", "refusal")
    assert (error["error_code"], error["run_id"]) == ("refusal", run["key"])

    await tell(url, "Something else?")
    await handle_next()
    (message,) = api.bodies[-1]["messages"]
    assert [block["text"] for block in message["content"]] == [LEFT_OUT, "Something else?"]
    assert await texts(url) == ["Well,", "Hi!"]


async def test_a_call_of_a_refused_answer_is_not_made(api: AnthropicServer) -> None:
    refused = Reply([Text("Well,"), ToolCall("toolu_1", "look", {"at": "it"})], stop_reason="refusal")
    api.add(refused, Reply([], stop_reason="refusal"))
    url = await speak()

    call = await only(url, "tool_call")
    assert (call["status"], call["result"]) == ("failed", None)
    run, error = await only(url, "run"), await only(url, "error")
    assert (run["finish_reason"], error["error_code"]) == ("refusal", "refusal")


async def test_an_answer_that_was_cut_at_the_limit_says_so(api: AnthropicServer) -> None:
    api.add(Reply([Text("And then")], stop_reason="max_tokens"))
    url = await speak()

    assert (await only(url, "run"))["finish_reason"] == "max_tokens"
    error = await only(url, "error")
    assert (error["error_code"], error["message"]) == ("max_tokens", "The answer was cut at 2,000 tokens.")


@pytest.mark.parametrize("invalid", ["", '{"at": "i'], ids=["before its arguments", "amid its arguments"])
async def test_a_call_that_was_cut_at_the_limit_is_not_made(api: AnthropicServer, invalid: str) -> None:
    call = ToolCall("toolu_1", "look", {}, invalid=invalid)
    api.add(Reply([call], stop_reason="max_tokens"), Reply([Text("Shorter, then.")]))
    url = await speak()

    made = await only(url, "tool_call")
    assert (made["status"], made["result"]) == ("failed", None)
    assert made["error"].startswith("Your answer was cut at 2,000 tokens, in the middle of this call")
    assert await texts(url) == ["Shorter, then."]
    assert [each.refused for each in api.requests if each.refused] == []


async def test_what_no_log_keeps_fails_no_run(api: AnthropicServer) -> None:
    api.add(Reply([ToolCall("toolu_1", "look", {"at": "a\x00b\ud83d"})]), Reply([Text("c\x00d")]))
    url = await speak()

    call = await only(url, "tool_call")
    assert (call["args"], call["result"]) == ({"at": "a\ufffdb?"}, "a\ufffdb? is fine")
    assert await texts(url) == ["c\ufffdd"]
    assert "".join(event.value["delta"] for event in await events(url, "text_delta")) == "c\ufffdd"
    assert await values(url, "error") == []


async def test_a_pause_is_gone_on_from(api: AnthropicServer) -> None:
    api.add(Reply([Text("First half,")], stop_reason="pause_turn"), Reply([Text("second half.")]))
    url = await speak()

    assert await texts(url) == ["First half,", "second half."]
    assert (await only(url, "run"))["finish_reason"] == "end_turn"
    said = [block.get("text") for message in api.bodies[-1]["messages"] for block in message["content"]]
    assert "First half," in said
    assert [each.refused for each in api.requests if each.refused] == []


async def test_a_stop_leaves_the_network_at_once(api: AnthropicServer) -> None:
    api.add(Reply([Text("word " * 2_000)], piece=5, pause=0.01))
    url = await spawn("speaker", message="Hello?")
    async with working() as worker:
        await until(lambda: EventRecord.objects.filter(type="text_delta").exists(), "the first words")
        started = time.monotonic()
        assert await signal(ADA, url, "SIGINT") == "run interrupted"
        assert await in_thread(api.wait_until_hung_up)
        await quiet(worker)
    assert time.monotonic() - started < 1

    assert [run["finish_reason"] for run in await values(url, "run")] == ["aborted"]
    assert (await only(url, "error"))["error_code"] == "aborted"
