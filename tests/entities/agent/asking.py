"""Short ways to ask a provider in a test."""

from contextlib import aclosing
from typing import Any

from entities.agent.messages import Message, ModelRequest, Response, Text, ToolAnswer, ToolSpec
from entities.agent.model import ModelEvent, Provider, StepDone

SEARCH = ToolSpec(
    "search",
    "Search.",
    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)


def user(*texts: str) -> Message:
    """What a person says."""
    return Message("user", tuple(Text(text) for text in texts))


def answered(call_id: str, content: str, *, is_error: bool = False) -> Message:
    """A tool's answer."""
    return Message("user", (ToolAnswer(call_id, content, is_error),))


def request(*messages: Message, **options: Any) -> ModelRequest:
    """A request to a model that thinks only when asked, unless `model` says otherwise."""
    settings: dict[str, Any] = {
        "model": "claude-sonnet-5", "system": "Be brief.", "messages": messages or (user("Hello"),),
        "max_retries": 0, "timeout": 5.0,
    }  # fmt: skip
    return ModelRequest(**(settings | options))


async def events_of(provider: Provider, asked: ModelRequest) -> list[ModelEvent]:
    """Everything that the provider says to a request."""
    async with aclosing(provider.stream(asked)) as stream:
        return [event async for event in stream]


async def response_of(provider: Provider, asked: ModelRequest) -> Response:
    """The whole answer to a request."""
    last = (await events_of(provider, asked))[-1]
    assert isinstance(last, StepDone)
    return last.response
