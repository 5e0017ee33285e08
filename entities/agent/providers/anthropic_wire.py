"""From a `ModelRequest` to the parameters of the Messages API.

Everything here is pure: the same request gives the same bytes, which is also what prompt caching needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from entities.agent.messages import Block, Message, ModelRequest, Text, Thinking, ToolAnswer, ToolCall
from entities.agent.providers.anthropic_models import thinking_params, traits_of

BINDING_BETA = "thinking-binding-controls-2026-08-01"
"""Lets a request say what becomes of thinking blocks whose conversation has changed before them."""

CACHE = {"type": "ephemeral"}
"""Five minutes, renewed by every hit: an agent's next step is seldom further away."""

UNCACHEABLE = frozenset({"thinking", "redacted_thinking"})
FORBIDDEN_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def build_params(
    request: ModelRequest, *, keep_thinking: bool = True, binding: bool = False
) -> dict[str, Any]:
    """The keyword arguments of `messages.create`, without `stream`.

    `keep_thinking=False` leaves all earlier reasoning out, for the retry after the API has refused it.
    `binding` asks the API to drop reasoning that it cannot use any more instead of refusing the request.
    """
    traits = traits_of(request.model)
    params = thinking_params(request.model, request.thinking, request.max_tokens)
    mode = params.get("thinking", {}).get("type", "")
    keep_thinking = keep_thinking and mode != "disabled"
    messages = wire_messages(request.messages, keep_thinking=keep_thinking)
    if mode == "enabled" and not _loop_starts_with_thinking(messages):
        # The older models insist on it; without it, this step must do without thinking.
        del params["thinking"]
    if binding and traits.binds and mode == "adaptive" and _has_thinking(messages):
        params["thinking"]["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
        params["extra_headers"] = {"anthropic-beta": BINDING_BETA}
    if request.tools:
        params["tools"] = _wire_tools(request, eager=traits.claude)
    if request.system.strip():
        params["system"] = [{"type": "text", "text": request.system, "cache_control": CACHE}]
    _mark_cache(messages)
    return {"model": request.model, "max_tokens": request.max_tokens, "messages": messages, **params}


def wire_messages(messages: Iterable[Message], *, keep_thinking: bool = True) -> list[dict[str, Any]]:
    """The conversation as the API takes it: user first, user last, no empty texts."""
    wired: list[dict[str, Any]] = []
    for message in messages:
        content = [wire for block in message.blocks if (wire := _wire_block(block, keep_thinking))]
        if not content:
            continue
        if wired and wired[-1]["role"] == message.role:
            wired[-1]["content"].extend(content)
        else:
            wired.append({"role": message.role, "content": content})
    for each in wired:
        # The API reads answers only at the head of the message after their calls.
        each["content"].sort(key=lambda block: each["role"] == "user" and block["type"] != "tool_result")
    if not wired or wired[0]["role"] != "user":
        wired.insert(0, _said("(The conversation goes on from here.)"))
    if wired[-1]["role"] != "user":
        # The current models do not continue an unfinished answer; they want to be asked.
        wired.append(_said("Please go on."))
    return wired


def _said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def _wire_block(block: Block, keep_thinking: bool) -> dict[str, Any] | None:
    match block:
        case Text(text):
            return {"type": "text", "text": text} if text.strip() else None
        case Thinking(redacted=data) if data:
            return {"type": "redacted_thinking", "data": data} if keep_thinking else None
        case Thinking(text=text, signature=signature):
            # Without a signature it is not the model's own: from another provider, or cut off.
            if not signature or not keep_thinking:
                return None
            return {"type": "thinking", "thinking": text, "signature": signature}
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return {"type": "tool_use", "id": _safe_id(call_id), "name": name, "input": _plain(arguments)}
        case ToolAnswer(tool_call_id=call_id, content=content, is_error=is_error):
            answer = {
                "type": "tool_result",
                "tool_use_id": _safe_id(call_id),
                "content": content or "(empty)",
            }
            return {**answer, "is_error": True} if is_error else answer


def _safe_id(call_id: str) -> str:
    """Ids of other providers may have letters that this API refuses."""
    return FORBIDDEN_IN_ID.sub("_", call_id)


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Plain JSON in a fixed order of keys: the cache compares bytes."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(arguments), sort_keys=True, default=str))
    return plain


def _wire_tools(request: ModelRequest, *, eager: bool) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = []
    for spec in request.tools:
        tool: dict[str, Any] = {
            "name": spec.name,
            "description": spec.description,
            "input_schema": {"type": "object", **spec.parameters},
        }
        if eager:
            # Long arguments arrive as they are written instead of all at once at the end.
            tool["eager_input_streaming"] = True
        tools.append(tool)
    tools[-1]["cache_control"] = CACHE
    return tools


def _mark_cache(messages: Sequence[dict[str, Any]]) -> None:
    """Mark the end of the conversation, and the end of what the step before this one saw.

    With the tools and the system prompt that makes four marks, all that the API allows. The second lets
    this step find the cache of the step before: a mark alone looks back only 20 blocks, and parallel tool
    calls soon make more.
    """
    ends = [message for message in messages if message["role"] == "user"][-2:]
    for message in ends:
        for block in reversed(message["content"]):
            if block["type"] not in UNCACHEABLE:
                block["cache_control"] = CACHE
                break


def _has_thinking(messages: Sequence[dict[str, Any]]) -> bool:
    return any(block["type"] in UNCACHEABLE for message in messages for block in message["content"])


def _loop_starts_with_thinking(messages: Sequence[dict[str, Any]]) -> bool:
    """Whether the tool loop that goes on with this request, if one does, began with thinking."""
    first_call: dict[str, Any] | None = None
    for message in reversed(messages):
        if message["role"] == "assistant":
            first_call = message
        elif not any(block["type"] == "tool_result" for block in message["content"]):
            break
    return first_call is None or first_call["content"][0]["type"] in UNCACHEABLE
