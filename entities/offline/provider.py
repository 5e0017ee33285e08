"""The offline model: a provider that needs no key and no network, and always says the same.

It is good enough to chat with, to call tools and to hold a debate, and never pretends to be more. What it
says comes from a script (`types.script`): the one that the request names, else that of the
entity's type, else the general one for a chat, which also answers where a script leaves it to.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Any

from entities.agent.messages import (
    Block,
    FinishReason,
    ModelRequest,
    Response,
    Text,
    Thinking,
    ToolAnswer,
    ToolCall,
    Usage,
)
from entities.agent.model import BlockDelta, BlockEnded, BlockStarted, ModelEvent, ModelRefused, StepDone
from entities.offline.chat import chat
from entities.offline.choice import digest
from entities.offline.turn import Turn
from entities.types.script import Plan, find_script, script_names

MODEL = "offline"

CHARS_PER_TOKEN = 4
"""The usual rule of thumb for English."""

JSON_PIECE = 12
"""How many characters of a tool's arguments count as one word of speech."""

WORDS_BETWEEN_YIELDS = 32
"""Without a pace, other tasks get the event loop after so many words."""

WORD = re.compile(r"\s*\S+|\s+\Z")


class OfflineProvider:
    """Streams what a script says, word by word. `words_per_second` 0 is as fast as it is read."""

    name = "offline"

    def __init__(self, words_per_second: float = 0.0) -> None:
        self.pause = 1 / words_per_second if words_per_second > 0 else 0.0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one step. Raises ModelRefused if the script is unknown or calls a tool it was not given."""
        turn = Turn.of(request)
        plan = _script(request)(turn) or chat(turn)
        _check(plan, turn)
        blocks: list[Block] = []
        words = spoken = 0
        for block in _blocks(plan, turn, thinking=request.thinking != "off"):
            index = len(blocks)
            yield _started(index, block)
            pieces: list[str] = []
            for piece in _pieces(block):
                if spoken + len(piece) > request.max_tokens * CHARS_PER_TOKEN:
                    blocks.append(_cut(block, "".join(pieces)))
                    yield BlockEnded(index)
                    yield StepDone(_response(request, blocks, spoken, "max_tokens"))
                    return
                await self._keep_pace(words)
                words += 1
                spoken += len(piece)
                pieces.append(piece)
                yield BlockDelta(index, piece)
            blocks.append(block)
            yield BlockEnded(index)
        yield StepDone(_response(request, blocks, spoken, "tool_use" if plan.calls else "end_turn"))

    async def aclose(self) -> None:
        """Nothing to close; every provider has this."""

    async def _keep_pace(self, words: int) -> None:
        """Keep the pace. The first word comes at once."""
        if words and (self.pause or words % WORDS_BETWEEN_YIELDS == 0):
            await asyncio.sleep(self.pause)


def _script(request: ModelRequest) -> Callable[[Turn], Plan | None]:
    """The script that was asked for by name; else the one of the entity's type; else the general one."""
    name = request.script
    script = find_script(name or str(request.context.get("type", "")))
    if script is None and not name:
        return chat
    if script is None:
        known = ", ".join(script_names()) or "none"
        raise ModelRefused(f"There is no offline script {name!r}. Registered: {known}.")
    return script


def _check(plan: Plan, turn: Turn) -> None:
    for name, _ in plan.calls:
        if name not in turn.tools:
            offered = ", ".join(turn.tools) or "none"
            raise ModelRefused(f"The offline script calls {name!r}, which it was not offered ({offered}).")


def _blocks(plan: Plan, turn: Turn, *, thinking: bool) -> Iterator[Block]:
    if plan.thinking and thinking:
        yield Thinking(plan.thinking)
    if plan.text:
        yield Text(plan.text)
    # The seed names entity, run and step; without one, the length of the conversation keeps ids apart.
    origin = turn.seed or f"{len(turn.messages)}:{turn.last}"
    for position, (name, arguments) in enumerate(plan.calls):
        yield ToolCall(f"call_{digest(origin, turn.step, position, name)[:20]}", name, dict(arguments))


def _started(index: int, block: Block) -> BlockStarted:
    match block:
        case ToolCall(id=call_id, name=name):
            return BlockStarted(index, "tool_call", call_id, name)
        case Thinking():
            return BlockStarted(index, "thinking")
        case _:
            return BlockStarted(index, "text")


def _pieces(block: Block) -> Iterable[str]:
    """The block in pieces that joined give it back."""
    match block:
        case Text(text) | Thinking(text):
            return WORD.findall(text)
        case ToolCall(arguments=arguments):
            raw = json.dumps(arguments, ensure_ascii=False)
            return [raw[start : start + JSON_PIECE] for start in range(0, len(raw), JSON_PIECE)]
        case _:
            return ()


def _cut(block: Block, spoken: str) -> Block:
    match block:
        case ToolCall(id=call_id, name=name):
            return ToolCall(call_id, name, {}, invalid=spoken)
        case Thinking():
            return Thinking(spoken)
        case _:
            return Text(spoken)


def _response(request: ModelRequest, blocks: list[Block], spoken: int, reason: FinishReason) -> Response:
    usage = Usage(input_tokens=_tokens(_input_chars(request)), output_tokens=_tokens(spoken))
    return Response(tuple(blocks), reason, usage, MODEL, OfflineProvider.name, cost_usd=0.0)


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)


def _input_chars(request: ModelRequest) -> int:
    """How much there was to read: an estimate, but the same one every time."""
    tools = sum(len(json.dumps(dict(spec.parameters))) + len(spec.description) for spec in request.tools)
    spoken = sum(_block_chars(block) for message in request.messages for block in message.blocks)
    return len(request.system) + tools + spoken


def _block_chars(block: Any) -> int:
    match block:
        case Text(text) | Thinking(text):
            return len(text)
        case ToolCall(arguments=arguments):
            return len(json.dumps(dict(arguments), default=str))
        case ToolAnswer(content=content):
            return len(content)
        case _:
            return 0
