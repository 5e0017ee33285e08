"""What the test's Messages API answers, and how it looks on the wire.

A `Reply` is written with the product's own blocks; `sse` turns it into the events of the streaming API of
version 2026-10-21, as its documentation and the SDK's types describe them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from entities.agent.messages import Block, Text, Thinking, ToolCall, Usage


@dataclass(frozen=True)
class Reply:
    """A streamed answer.

    `stop_reason` follows from the blocks if it is empty. `piece` is the length of a delta in characters,
    `pause` the wait before each in seconds. The faults strike after so many events: `drop_after` closes the
    connection, `end_after` ends the response as if that were all, `stall_after` says nothing more,
    `error_after` sends an error event of the given type.
    `extra` are raw content blocks that are sent before the others, for kinds that we do not know.
    """

    blocks: Sequence[Block]
    stop_reason: str = ""
    stop_details: Mapping[str, Any] | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None
    piece: int = 16
    pause: float = 0.0
    drop_after: int | None = None
    end_after: int | None = None
    stall_after: int | None = None
    error_after: tuple[int, str] | None = None
    end_politely: bool = True
    extra: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Fault:
    """A refusal before the stream begins."""

    status: int
    type: str
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    """Seconds to wait before answering."""

    def body(self) -> dict[str, Any]:
        """The API's error object."""
        said = self.message or self.type.replace("_", " ")
        return {"type": "error", "error": {"type": self.type, "message": said}, "request_id": "req_test"}


def unauthorized() -> Fault:
    """The key is wrong."""
    return Fault(401, "authentication_error", "invalid x-api-key")


def rate_limited(retry_after: str = "0.05") -> Fault:
    """Too many requests."""
    return Fault(
        429, "rate_limit_error", "This request would exceed your rate limit.", {"retry-after": retry_after}
    )


def overloaded() -> Fault:
    """The famous one."""
    return Fault(529, "overloaded_error", "Overloaded", {"retry-after": "0.05"})


Answer = Reply | Fault
Sign = Callable[[Thinking], str]


def signature_of(text: str, prefix: str) -> str:
    """The signature of a thinking block: what was thought, and after what, so that both can be checked."""
    return f"sig.{hashlib.sha256(text.encode()).hexdigest()[:16]}.{prefix}"


def sse(reply: Reply, model: str, message_id: str, prefix: str) -> Iterator[dict[str, Any]]:
    """The events of a reply, without its faults. `prefix` goes into signatures."""
    usage = reply.usage or Usage(input_tokens=25, output_tokens=sum(map(_length, reply.blocks)) // 4 + 1)
    counted = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
    }
    message: dict[str, Any] = {
        "id": message_id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {**counted, "output_tokens": 1},
    }  # fmt: skip
    yield {"type": "message_start", "message": message}
    yield {"type": "ping"}
    for index, raw in enumerate(reply.extra):
        yield {"type": "content_block_start", "index": index, "content_block": dict(raw)}
        yield {"type": "content_block_stop", "index": index}
    for index, block in enumerate(reply.blocks, len(reply.extra)):
        yield from _block(index, block, reply.piece, prefix)
    delta: dict[str, Any] = {"stop_reason": _stop_reason(reply), "stop_sequence": reply.stop_sequence}
    if reply.stop_details is not None:
        delta["stop_details"] = dict(reply.stop_details)
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage.output_tokens}}
    if reply.end_politely:
        yield {"type": "message_stop"}


def _stop_reason(reply: Reply) -> str:
    calls = any(isinstance(block, ToolCall) for block in reply.blocks)
    return reply.stop_reason or ("tool_use" if calls else "end_turn")


def _block(index: int, block: Block, piece: int, prefix: str) -> Iterator[dict[str, Any]]:
    start, deltas = _start_and_deltas(block, piece, prefix)
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _start_and_deltas(block: Block, piece: int, prefix: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block:
        case Text(text):
            deltas = [{"type": "text_delta", "text": part} for part in _cut(text, piece)]
            return {"type": "text", "text": ""}, deltas
        case Thinking(redacted=data) if data:
            return {"type": "redacted_thinking", "data": data}, []
        case Thinking(text=text):
            deltas = [{"type": "thinking_delta", "thinking": part} for part in _cut(text, piece)]
            signature = block.signature or signature_of(text, prefix)
            deltas.append({"type": "signature_delta", "signature": signature})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case ToolCall(id=call_id, name=name):
            raw = block.invalid or (
                json.dumps(dict(block.arguments), ensure_ascii=False) if block.arguments else ""
            )
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in ["", *_cut(raw, piece)]]
            return {"type": "tool_use", "id": call_id, "name": name, "input": {}}, deltas
        case _:
            raise TypeError(f"A model does not say {block!r}.")


def _cut(text: str, piece: int) -> list[str]:
    return [text[start : start + piece] for start in range(0, len(text), piece)]


def _length(block: Block) -> int:
    return len(getattr(block, "text", "") or str(getattr(block, "arguments", "")))
