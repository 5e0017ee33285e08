"""What the Messages API refuses, as far as our requests could go wrong: the rules of November 2026.

Written down from the API's documentation, not from the provider under test: what each model takes, how a
conversation must look, where cache marks may stand. Each rule raises `Refused` in the API's own manner.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.anthropic_replies import signature_of

ALL = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True)
class Model:
    """What one model takes: kinds of thinking, efforts, and whether it binds thinking to what was before."""

    thinking: tuple[str, ...]
    efforts: tuple[str, ...] = ALL
    binds: bool = False
    prefill: bool = False
    calm: tuple[str, ...] = ()
    """Kinds of thinking that go with an effort of `high` at the most."""


MODELS = {
    "claude-fable-5-2": Model(("adaptive",), binds=True),
    "claude-fable-5-1": Model(("adaptive",), binds=True),
    "claude-opus-5-5": Model(("adaptive",), binds=True),
    "claude-sonnet-5-5": Model(("adaptive", "between_tools"), binds=True, calm=("between_tools",)),
    "claude-haiku-5-5": Model(("adaptive", "disabled"), binds=True, calm=("disabled",)),
    "claude-opus-5": Model(("adaptive", "disabled"), calm=("disabled",)),
    "claude-sonnet-5": Model(("adaptive", "disabled")),
    "claude-opus-4-8": Model(("adaptive", "disabled")),
    "claude-opus-4-6": Model(("adaptive", "disabled", "enabled"), ("low", "medium", "high", "max")),
    "claude-sonnet-4-6": Model(("adaptive", "disabled", "enabled"), ("low", "medium", "high", "max")),
    "claude-opus-4-5": Model(("enabled", "disabled"), ("low", "medium", "high"), prefill=True),
    "claude-haiku-4-5": Model(("enabled", "disabled"), (), prefill=True),
}
KNOWN = {
    *("model", "max_tokens", "messages", "system", "tools", "tool_choice", "thinking", "output_config"),
    *("stream", "stop_sequences", "metadata", "cache_control", "service_tier"),
}
BINDING_BETA = "thinking-binding-controls-2026-08-01"
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")


class Refused(Exception):
    """The request breaks a rule of the API."""

    def __init__(self, message: str, status: int = 400, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


def check(body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Raise Refused for the first rule that the request breaks."""
    for name in sorted(set(body) - KNOWN):
        raise Refused(f"{name}: Extra inputs are not permitted")
    model = MODELS.get(body.get("model", ""))
    if model is None:
        raise Refused(f"model: {body.get('model')}", 404, "not_found_error")
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        raise Refused("max_tokens: Input should be greater than or equal to 1")
    if body.get("stream") is not True:
        raise Refused("stream: this server only streams")
    _check_thinking(body, model, headers)
    _check_tools(body)
    _check_messages(body["messages"], model)
    _check_cache(body)
    _check_bindings(body, model)


def _check_thinking(body: Mapping[str, Any], model: Model, headers: Mapping[str, str]) -> None:
    thinking = body.get("thinking") or {}
    kind = thinking.get("type")
    if kind is not None and kind not in model.thinking:
        advice = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        raise Refused(f'"thinking.type.{kind}" is not supported for this model. {advice}')
    if "budget_tokens" in thinking and kind != "enabled":
        raise Refused("thinking.adaptive.budget_tokens: Extra inputs are not permitted")
    if kind == "enabled" and not 1024 <= thinking.get("budget_tokens", 0) < body["max_tokens"]:
        raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if "block_binding" in thinking and BINDING_BETA not in headers.get("anthropic-beta", ""):
        raise Refused("thinking.adaptive.block_binding: Extra inputs are not permitted")
    effort = (body.get("output_config") or {}).get("effort")
    if effort is not None and effort not in model.efforts:
        raise Refused(f"This model does not support the effort parameter with {effort!r}.")
    if kind in model.calm and effort in ("xhigh", "max"):
        raise Refused(f"thinking.type.{kind} is not supported with effort {effort}.")


def _check_tools(body: Mapping[str, Any]) -> None:
    names = [tool.get("name", "") for tool in body.get("tools", ())]
    for index, tool in enumerate(body.get("tools", ())):
        if not TOOL_NAME.fullmatch(names[index]):
            raise Refused(f"tools.{index}.custom.name: String should match pattern '{TOOL_NAME.pattern}'")
        if tool.get("input_schema", {}).get("type") != "object":
            raise Refused(f"tools.{index}.custom.input_schema.type: Input should be 'object'")
    if len(set(names)) < len(names):
        raise Refused("tools: Tool names must be unique.")


def _check_messages(messages: list[dict[str, Any]], model: Model) -> None:
    if not messages:
        raise Refused("messages: at least one message is required")
    if messages[0]["role"] != "user":
        raise Refused('messages: first message must use the "user" role')
    if messages[-1]["role"] != "user" and not model.prefill:
        raise Refused("This model does not support assistant message prefill.")
    for index, message in enumerate(messages):
        if message["role"] == "user" and not message["content"]:
            raise Refused(f"messages.{index}: user messages must have non-empty content")
        for block in _blocks(message):
            if block["type"] == "text" and not block["text"]:
                raise Refused("messages: text content blocks must be non-empty")
        texts = [block["text"] for block in _blocks(message) if block["type"] == "text"]
        if texts and not any(text.strip() for text in texts):
            raise Refused("messages: text content blocks must contain non-whitespace text")
        _check_pairs(index, messages)


def _check_pairs(index: int, messages: list[dict[str, Any]]) -> None:
    """Each call is answered in the next message, before anything else, and each answer has its call."""
    calls = [block["id"] for block in _blocks(messages[index]) if block["type"] == "tool_use"]
    for call in calls:
        if not CALL_ID.fullmatch(call):
            raise Refused(f"messages.{index}: tool_use.id: String should match pattern '{CALL_ID.pattern}'")
    following = _blocks(messages[index + 1]) if index + 1 < len(messages) else []
    answered = [block["tool_use_id"] for block in following if block["type"] == "tool_result"]
    leading = [block["type"] == "tool_result" for block in following[: len(answered)]]
    missing = [call for call in calls if call not in answered]
    if missing or not all(leading):
        raise Refused(
            f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in "
            "the next message."
        )
    stray = [call for call in answered if call not in calls]
    if stray:
        raise Refused(
            f"messages.{index + 1}: unexpected `tool_use_id` found in `tool_result` blocks: {stray[0]}"
        )


def _check_cache(body: Mapping[str, Any]) -> None:
    marked = [block for block in _cacheable(body) if "cache_control" in block]
    if len(marked) > 4:
        raise Refused(f"A maximum of 4 blocks with cache_control may be provided. Found {len(marked)}.")
    for block in marked:
        if block.get("type") in ("thinking", "redacted_thinking"):
            raise Refused("cache_control cannot be set for thinking blocks")


def _cacheable(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from body.get("tools", ())
    if isinstance(body.get("system"), list):
        yield from body["system"]
    for message in body["messages"]:
        yield from _blocks(message)


def _check_bindings(body: Mapping[str, Any], model: Model) -> None:
    """A thinking block must be the model's own, and on some models nothing before it may have changed."""
    drops = (body.get("thinking") or {}).get("block_binding", {}).get(
        "prefix_mismatch_behavior"
    ) == "drop_block"
    for index, message in enumerate(body["messages"]):
        for place, block in enumerate(_blocks(message)):
            if block["type"] != "thinking":
                continue
            parts = block.get("signature", "").split(".")
            where = f"messages.{index}.content.{place}: Invalid `signature` in `thinking` block."
            if len(parts) != 3 or signature_of(block["thinking"], parts[2]) != block["signature"]:
                raise Refused(where)
            if model.binds and not drops and parts[2] != prefix_of(body, index):
                raise Refused(f"{where} The block is bound to a different conversation. Remove the block.")
    if (body.get("thinking") or {}).get("type") == "enabled":
        _check_loop_begins_with_thinking(body["messages"])


def _check_loop_begins_with_thinking(messages: list[dict[str, Any]]) -> None:
    """The older models want the turn that a tool answer continues to begin with thinking."""
    last = next((m for m in reversed(messages) if m["role"] == "assistant"), None)
    goes_on = any(block["type"] == "tool_result" for block in _blocks(messages[-1]))
    if goes_on and last and _blocks(last)[0]["type"] not in ("thinking", "redacted_thinking"):
        raise Refused(
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled…"
        )


def prefix_of(body: Mapping[str, Any], until: int) -> str:
    """A fingerprint of everything before message `until`, without thinking and cache marks."""
    seen = [body.get("system"), body.get("tools"), body["messages"][:until]]
    return hashlib.sha256(json.dumps(_bare(seen), sort_keys=True).encode()).hexdigest()[:16]


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        kept = [
            each for each in value if not (isinstance(each, dict) and "thinking" in str(each.get("type")))
        ]
        return [_bare(each) for each in kept]
    if isinstance(value, dict):
        return {key: _bare(each) for key, each in value.items() if key != "cache_control"}
    return value


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
