"""The provider behind `test_responses`: says what it was given, one response for each step."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from entities.agent.messages import Block, ModelRequest, Response, Text, Thinking, ToolCall, Usage
from entities.agent.model import BlockDelta, BlockEnded, BlockStarted, ModelError, ModelEvent, StepDone


class ScriptedProvider:
    """Responses are texts, lists of `(tool name, arguments)`, whole `Response`s, or exceptions to raise.

    A function is called with the request, and gives one of these. Each step takes the response of its number;
    the last one repeats.
    """

    name = "test"

    def __init__(self, responses: Sequence[Any]) -> None:
        if not responses:
            raise ModelError("test_responses is empty; give at least one.")
        self._responses = responses

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream the response whose number is the step's, as the seed tells it."""
        number = int(request.seed.rsplit("/", 1)[-1]) - 1
        answer = self._responses[min(number, len(self._responses) - 1)]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, BaseException):
            raise answer
        response = answer if isinstance(answer, Response) else _response(answer, request)
        for index, block in enumerate(response.blocks):
            started, pieces = _spoken(index, block)
            yield started
            for piece in pieces:
                yield BlockDelta(index, piece)
            yield BlockEnded(index)
        yield StepDone(response)

    async def aclose(self) -> None:
        """Nothing to give back."""


def _response(answer: Any, request: ModelRequest) -> Response:
    blocks: tuple[Block, ...] = (Text(answer),) if isinstance(answer, str) else _calls(answer, request.seed)
    reason: Any = "end_turn" if isinstance(answer, str) else "tool_use"
    return Response(blocks, reason, Usage(), request.model, ScriptedProvider.name, 0.0)


def _calls(calls: Sequence[tuple[str, dict[str, Any]]], seed: str) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(f"toolu_{hashlib.sha256(f'{seed}/{n}'.encode()).hexdigest()[:20]}", name, arguments)
        for n, (name, arguments) in enumerate(calls)
    )


def _spoken(index: int, block: Block) -> tuple[BlockStarted, list[str]]:
    if isinstance(block, ToolCall):
        said = block.invalid or json.dumps(dict(block.arguments), default=str)
        return BlockStarted(index, "tool_call", block.id, block.name), [said]
    kind: Any = "thinking" if isinstance(block, Thinking) else "text"
    text = block.text if isinstance(block, Text | Thinking) else ""
    return BlockStarted(index, kind), re.findall(r"\S+\s*|\s+", text)
