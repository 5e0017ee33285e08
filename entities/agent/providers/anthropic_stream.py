"""Puts one streamed answer of the Messages API together, block by block.

The SDK's own accumulator raises on arguments that are not JSON; here they become a call that the loop can
answer, and block types that we never asked for are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from entities.agent.messages import Block, FinishReason, Response, Text, Thinking, ToolCall, Usage
from entities.agent.model import BlockDelta, BlockEnded, BlockStarted, ModelEvent, ModelUnavailable
from entities.catalog.sanitize import called_with, storable

FINISH: dict[str, FinishReason] = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
    # The answer is cut off just as if its own limit had been reached.
    "model_context_window_exceeded": "max_tokens",
}


class OpenBlock:
    """A block that is still arriving."""

    def __init__(self, index: int, wire: Any) -> None:
        self.index = index
        self.wire = wire
        self.pieces: list[str] = []
        self.signature = str(getattr(wire, "signature", "") or "")

    def started(self) -> BlockStarted:
        """The event for its beginning."""
        if self.wire.type == "tool_use":
            return BlockStarted(self.index, "tool_call", self.wire.id, self.wire.name)
        return BlockStarted(self.index, "text" if self.wire.type == "text" else "thinking")

    def closed(self) -> Block:
        """The block as a whole."""
        text = "".join(self.pieces)
        match self.wire.type:
            case "text":
                return Text(text)
            case "thinking":
                return Thinking(text, signature=self.signature)
            case "redacted_thinking":
                return Thinking("", redacted=self.wire.data)
            case _:
                return self._tool_call(text)

    def _tool_call(self, text: str) -> ToolCall:
        # A server that does not stream arguments puts them into the first event.
        given = self.wire.input if isinstance(self.wire.input, dict) else {}
        call_id, name = str(self.wire.id or ""), str(self.wire.name or "")
        if not text.strip():
            return ToolCall(call_id, name, given)
        try:
            return ToolCall(call_id, name, called_with(text))
        except ValueError as error:
            return ToolCall(call_id, name, {}, invalid=text, why=str(error))


class StepBuilder:
    """Eats the events of one stream and gives ours; `response` is its sum."""

    KINDS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})

    def __init__(self, model: str) -> None:
        self.model = model
        self.blocks: list[Block] = []
        self.usage: dict[str, int] = {}
        self.stop_reason = ""
        self.stop_detail = ""
        self.complete = False
        self._open: dict[int, OpenBlock] = {}

    def feed(self, event: Any) -> Iterator[ModelEvent]:
        """Our events for one of theirs; none for those that do not concern us, also future ones."""
        match event.type:
            case "message_start":
                self.model = event.message.model or self.model
                self._count(event.message.usage)
            case "content_block_start":
                yield from self._block_started(event.index, event.content_block)
            case "content_block_delta":
                yield from self._block_grew(event.index, event.delta)
            case "content_block_stop":
                if block := self._open.pop(event.index, None):
                    self.blocks.append(block.closed())
                    yield BlockEnded(block.index)
            case "message_delta":
                self._count(event.usage)
                self._stopped(event.delta)
            case "message_stop":
                self.complete = True
            case _:
                pass

    def response(self, provider: str) -> Response:
        """The whole answer. Raises ModelUnavailable if the stream ended before it did."""
        if self._open or not (self.complete or self.stop_reason):
            raise ModelUnavailable("The connection ended in the middle of the answer.")
        calls = any(isinstance(block, ToolCall) for block in self.blocks)
        reason = FINISH.get(self.stop_reason)
        if reason == "max_tokens":
            self._spoil_cut_call()
        elif reason == "refusal":
            self.blocks = [_spoiled(block, "(declined)") for block in self.blocks]
        detail = self.stop_detail
        if reason is None:
            reason = "tool_use" if calls else "end_turn"
            detail = detail or self.stop_reason
        usage = Usage(
            self.usage.get("input_tokens", 0),
            self.usage.get("output_tokens", 0),
            self.usage.get("cache_read_input_tokens", 0),
            self.usage.get("cache_creation_input_tokens", 0),
        )
        return Response(tuple(self.blocks), reason, usage, self.model, provider, stop_detail=detail)

    def _spoil_cut_call(self) -> None:
        """A call that the limit cut before its first argument looks like one that needs none."""
        if self.blocks and isinstance(last := self.blocks[-1], ToolCall) and not last.arguments:
            self.blocks[-1] = _spoiled(last, "(cut off)")

    def _block_started(self, index: int, wire: Any) -> Iterator[ModelEvent]:
        if wire.type not in self.KINDS:
            return
        block = OpenBlock(len(self.blocks) + len(self._open), wire)
        self._open[index] = block
        yield block.started()
        first = getattr(wire, "text", "") or getattr(wire, "thinking", "")
        if first:
            first = storable(first)
            block.pieces.append(first)
            yield BlockDelta(block.index, first)

    def _block_grew(self, index: int, delta: Any) -> Iterator[ModelEvent]:
        block = self._open.get(index)
        if block is None:
            return
        if delta.type == "signature_delta":
            block.signature += delta.signature
            return
        # text_delta, thinking_delta and input_json_delta hold their piece under different names.
        piece = (
            getattr(delta, "text", None)
            or getattr(delta, "thinking", None)
            or getattr(delta, "partial_json", None)
        )
        if piece:
            piece = storable(piece)
            block.pieces.append(piece)
            yield BlockDelta(block.index, piece)

    def _count(self, usage: Any) -> None:
        """Keep the newest figures: each event repeats the sums so far, or leaves them out."""
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            value = getattr(usage, name, None)
            if value is not None:
                self.usage[name] = int(value)

    def _stopped(self, delta: Any) -> None:
        if not delta.stop_reason:
            return
        self.stop_reason = str(delta.stop_reason)
        details = getattr(delta, "stop_details", None)
        parts = [getattr(details, "category", None), getattr(details, "explanation", None)]
        if self.stop_reason == "stop_sequence":
            parts.append(getattr(delta, "stop_sequence", None))
        elif self.stop_reason == "model_context_window_exceeded":
            parts.append("The conversation has filled the model's context window.")
        self.stop_detail = ": ".join(str(part) for part in parts if part)


def _spoiled(block: Block, why: str) -> Block:
    """A tool call as one that must not be made; other blocks as they are."""
    return replace(block, invalid=block.invalid or why) if isinstance(block, ToolCall) else block
