"""The Messages API of Anthropic, or of any server that speaks it, through the official SDK.

The SDK does connections, retries before the first byte, and parsing; ours is what a request may contain
(`anthropic_wire`, `anthropic_models`), what comes of it (`anthropic_stream`) and which errors there are
(`anthropic_errors`). Nothing here is kept between steps but the connection pool.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from entities.agent.messages import ModelRequest
from entities.agent.model import ModelEvent, ModelRefused, ModelTimeout, StepDone
from entities.agent.providers.anthropic_errors import NO_KEY, is_stale_thinking, retry_after, translated
from entities.agent.providers.anthropic_stream import StepBuilder
from entities.agent.providers.anthropic_wire import build_params
from entities.agent.providers.pricing import cost_usd

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

T = TypeVar("T")

OFFICIAL = "https://api.anthropic.com"

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0
"""Long enough for a long prompt to be read; after that the API pings."""

LONGEST_WAIT_SECONDS = 20.0
"""A longer `retry-after` is not slept through here: the wake is put back, and the worker stays free."""


class AnthropicProvider:
    """Streams steps from the Messages API. Without a key it can be made, but refuses every request.

    `silence` is how long an open stream may say nothing, in seconds. `drops_stale_thinking` tells whether the
    server can be asked to pass over reasoning that it cannot use any more; by default only Anthropic's own.
    """

    name = "anthropic"

    def __init__(
        self,
        api_key: str = "",
        base_url: str = "",
        *,
        silence: float = SILENCE_SECONDS,
        drops_stale_thinking: bool | None = None,
    ) -> None:
        self._api_key = api_key
        self.base_url = (base_url or OFFICIAL).rstrip("/")
        self._is_official = self.base_url == OFFICIAL
        self._drops = self._is_official if drops_stale_thinking is None else drops_stale_thinking
        self._silence = silence
        # A connection pool belongs to the event loop that it was made in, and there may be several.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncAnthropic] = WeakKeyDictionary()

    @staticmethod
    def lacking(api_key: str = "", base_url: str = "", **_: object) -> str:
        """What the options lack, for the system check; empty if a run may go well."""
        return (
            "" if api_key or base_url else "it has no key (set ANTHROPIC_API_KEY, or AGENTS_PROVIDER=offline)"
        )

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one step. Raises ModelRefused, ModelUnavailable or ModelTimeout."""
        if not self._api_key:
            raise ModelRefused(NO_KEY)
        await _load_sdk()
        deadline = asyncio.get_running_loop().time() + request.timeout
        step = StepBuilder(request.model)
        with translated(self._api_key):
            async with aclosing(self._events(request, deadline)) as events:
                async for event in events:
                    for ours in step.feed(event):
                        yield ours
        response = step.response(self.name)
        cost = await cost_usd(response.model, response.usage, provider=self.name)
        yield StepDone(replace(response, cost_usd=cost))

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _events(self, request: ModelRequest, deadline: float) -> AsyncGenerator[Any, None]:
        """The raw events, each awaited no longer than until the deadline of the step."""
        stream = await _until(deadline, self._open(request))
        try:
            while True:
                event = await _until(deadline, _next(stream))
                if event is None:
                    return
                yield event
        finally:
            # Also on cancellation: an abandoned stream would go on being written, and be paid for.
            await stream.close()

    async def _open(self, request: ModelRequest) -> Any:
        import anthropic

        client = self._client(request)
        params = build_params(request, binding=self._drops)
        try:
            return await client.messages.create(**params, stream=True)
        except anthropic.BadRequestError as error:
            if not is_stale_thinking(error):
                raise
        # The window before the reasoning has changed since it was written, say by a new system prompt.
        params = build_params(request, keep_thinking=False)
        return await client.messages.create(**params, stream=True)

    def _client(self, request: ModelRequest) -> AsyncAnthropic:
        import anthropic

        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            transport = anthropic.DefaultAsyncHttpxClient(event_hooks={"response": [_no_long_waits]})
            client = anthropic.AsyncAnthropic(
                api_key=self._api_key,
                base_url=self.base_url,
                http_client=transport,
                # The SDK sends the key as a bearer token; many other servers still look for it here.
                default_headers=None if self._is_official else {"x-api-key": self._api_key},
            )
            self._clients[loop] = client
        timeout = anthropic.Timeout(min(request.timeout, self._silence), connect=CONNECT_SECONDS)
        return client.with_options(max_retries=request.max_retries, timeout=timeout)


async def _load_sdk() -> None:
    """Import the SDK in a thread: it takes more than a second, which no other agent should wait for."""
    await asyncio.to_thread(importlib.import_module, "anthropic")


async def _next(stream: AsyncIterator[Any]) -> Any | None:
    return await anext(stream, None)


async def _until(deadline: float, awaitable: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout_at(deadline):
            return await awaitable
    except TimeoutError:
        raise ModelTimeout("The step took longer than its timeout.") from None


async def _no_long_waits(response: Any) -> None:
    """Tell the SDK not to retry where the server asks for a longer wait than a worker should sleep."""
    wait = retry_after(response.headers)
    if wait is not None and wait > LONGEST_WAIT_SECONDS:
        response.headers["x-should-retry"] = "false"
