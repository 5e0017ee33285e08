"""What goes wrong with the Anthropic API becomes one of three errors, with what to do about it."""

import asyncio
import logging
import time
from contextlib import aclosing

import pytest

from entities.agent.messages import Text
from entities.agent.model import (
    BlockDelta,
    ModelError,
    ModelEvent,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
)
from entities.agent.providers.anthropic import AnthropicProvider
from entities.agent.providers.anthropic_errors import retry_after
from tests.entities.agent.asking import events_of, request, response_of
from tests.support.anthropic_replies import Fault, Reply, overloaded, rate_limited, unauthorized
from tests.support.anthropic_server import KEY, AnthropicServer

LONG = Reply([Text("word " * 2_000)], piece=5, pause=0.01)


async def error_of(provider: AnthropicProvider, **options: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await response_of(provider, request(**options))
    return caught.value


async def test_missing_key_says_what_to_set() -> None:
    error = await error_of(AnthropicProvider(""))
    assert isinstance(error, ModelRefused)
    assert "ANTHROPIC_API_KEY" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, "invalid_request_error", "prompt is too long"),
        (401, "authentication_error", "Check ANTHROPIC_API_KEY."),
        (402, "billing_error", "credit"),
        (403, "permission_error", "may not"),
        (404, "not_found_error", "Check the model's name."),
        (413, "request_too_large", "less to read"),
    ],
)
async def test_faults_that_waiting_does_not_mend_are_refusals(
    api: AnthropicServer, provider: AnthropicProvider, status: int, kind: str, hint: str
) -> None:
    api.add(Fault(status, kind, "prompt is too long" if status == 400 else ""))
    error = await error_of(provider, max_retries=2)
    assert type(error) is ModelRefused
    assert hint in str(error)
    assert kind in str(error)
    assert "req_test" in str(error)
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_faults_that_may_pass_are_unavailability(
    api: AnthropicServer, provider: AnthropicProvider, status: int
) -> None:
    api.add(Fault(status, "api_error", headers={"retry-after": "7"}))
    error = await error_of(provider)
    assert type(error) is ModelUnavailable
    assert error.retryable
    assert error.retry_after == 7


async def test_sdk_tries_again_before_the_stream_has_begun(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(overloaded(), rate_limited(), Reply([Text("At last.")]))
    assert (await response_of(provider, request(max_retries=2))).text == "At last."


async def test_long_wait_is_left_to_the_caller(api: AnthropicServer, provider: AnthropicProvider) -> None:
    api.add(rate_limited("120"))
    started = time.monotonic()
    error = await error_of(provider, max_retries=2)
    assert error.retry_after == 120
    assert time.monotonic() - started < 1
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", ModelUnavailable),
        ("api_error", ModelUnavailable),
        ("invented_in_2027", ModelUnavailable),
        ("invalid_request_error", ModelRefused),
    ],
)
async def test_error_event_in_mid_stream_is_told_apart_by_its_type(
    api: AnthropicServer, provider: AnthropicProvider, kind: str, expected: type[ModelError]
) -> None:
    api.add(Reply([Text("Hello there.")], error_after=(4, kind)))
    assert type(await error_of(provider)) is expected


async def test_dropped_stream_is_unavailability_after_its_first_words(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Reply([Text("Hello there.")], piece=3, drop_after=4))
    heard: list[ModelEvent] = []

    async def listen() -> None:
        nonlocal heard
        async with aclosing(provider.stream(request())) as stream:
            async for event in stream:
                heard += [event]

    with pytest.raises(ModelUnavailable, match="in the middle of"):
        await listen()
    assert BlockDelta(0, "Hel") in heard


async def test_stream_that_ends_too_early_is_unavailability(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Reply([Text("Hello there.")], end_after=4))
    assert type(await error_of(provider)) is ModelUnavailable


async def test_server_that_is_not_there_is_unavailability() -> None:
    with AnthropicServer() as gone:
        url = gone.url
    provider = AnthropicProvider(KEY, url)
    error = await error_of(provider)
    assert type(error) is ModelUnavailable
    await provider.aclose()


async def test_step_that_takes_too_long_is_a_timeout(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(LONG)
    started = time.monotonic()
    assert type(await error_of(provider, timeout=0.3)) is ModelTimeout
    assert time.monotonic() - started < 1
    assert api.wait_until_hung_up()


async def test_answer_that_never_begins_is_a_timeout(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Fault(500, "api_error", hang=30))
    assert type(await error_of(provider, timeout=0.3)) is ModelTimeout


async def test_silent_stream_is_a_timeout(api: AnthropicServer) -> None:
    provider = AnthropicProvider(KEY, api.url, silence=0.2)
    api.add(Reply([Text("Hello there.")], stall_after=4))
    assert type(await error_of(provider)) is ModelTimeout
    await provider.aclose()


async def asked(api: AnthropicServer) -> None:
    """Wait until the server has a request: the library may have to be loaded before."""
    async with asyncio.timeout(30):
        while not api.requests:
            await asyncio.sleep(0.01)


async def test_cancelled_step_leaves_the_network_at_once(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(LONG)
    task = asyncio.create_task(events_of(provider, request(timeout=60)))
    await asked(api)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert api.wait_until_hung_up()
    assert time.monotonic() - started < 1


async def test_abandoned_step_leaves_the_network_at_once(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(LONG)
    async with aclosing(provider.stream(request(timeout=60))) as stream:
        await anext(stream)
    assert api.wait_until_hung_up()


async def test_cancelled_while_waiting_for_a_connection_is_cancelled(
    api: AnthropicServer, provider: AnthropicProvider
) -> None:
    api.add(Fault(500, "api_error", hang=30))
    task = asyncio.create_task(events_of(provider, request(timeout=60)))
    await asked(api)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_key_is_in_no_message_and_no_log(
    api: AnthropicServer, provider: AnthropicProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.add(Fault(401, "authentication_error", f"the key {KEY} is unknown"), Reply([Text("Hello.")]))
    error = await error_of(provider)
    assert KEY not in str(error)
    assert "[key]" in str(error)
    await response_of(provider, request())
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("entities")]
    assert not any(KEY in message for message in ours)
    headers = [record.getMessage() for record in caplog.records if "x-api-key" in record.getMessage().lower()]
    assert not any(KEY in message for message in headers)


def test_unauthorized_is_what_the_api_calls_a_wrong_key() -> None:
    assert unauthorized().body()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("3", 3, 3), ("1795600000", 3600, 3600), ("inf", 3600, 3600), ("1e12", 3600, 3600), ("-5", 0, 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0), ("Fri, 31 Dec 2100 23:59:59 GMT", 3600, 3600),
    ],
)  # fmt: skip
def test_a_wait_is_a_number_or_a_date_and_has_bounds(said: str, least: float, most: float) -> None:
    wait = retry_after({"retry-after": said})
    assert wait is not None
    assert least <= wait <= most


@pytest.mark.parametrize("said", ["nan", "", "soon", "Fri, 99 Foo", "9" * 5_000 + "x"])
def test_what_is_no_wait_is_none(said: str) -> None:
    assert retry_after({"retry-after": said}) is None


@pytest.mark.parametrize(
    ("status", "said", "window"),
    [
        (400, "prompt is too long: 212000 tokens > 200000 maximum", "too long"),
        (400, "input length and `max_tokens` exceed context limit: 190000 + 16000 > 200000", "too long"),
        (400, "This model's maximum context length is 128000 tokens", "too long"),
        (413, "Request exceeds the maximum size", "too long"),
        (400, "messages.3.content.0.tool_use.name: String should match pattern", "refused"),
        (400, "`tool_use` ids must be unique", "refused"),
        (400, "The request body is not valid JSON: no low surrogate in string", "refused"),
        (400, "max_tokens: 999999 > 64000, which is the maximum allowed", ""),
        (400, "Your credit balance is too low to access the API", ""),
        (401, "invalid x-api-key", ""),
    ],
)
async def test_a_refusal_says_whether_less_of_the_conversation_may_be_taken(
    api: AnthropicServer, provider: AnthropicProvider, status: int, said: str, window: str
) -> None:
    api.add(Fault(status, "invalid_request_error", said))
    error = await error_of(provider, max_retries=0)
    assert isinstance(error, ModelRefused)
    assert error.window == window
