"""What goes to a model and what comes back, in plain Python.

The shapes follow the content blocks of the Messages API, because they are the richest in use; a provider
for another API translates them. Nothing here knows Django, the log or a provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "pause"]


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text, from a person or from the model."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """The model's reasoning. `signature` must go back unchanged within a tool loop.

    `redacted` holds the provider's opaque data when the text is withheld; then `text` is empty.
    """

    text: str
    signature: str = ""
    redacted: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. `id` is the provider's; `arguments` is the parsed JSON object.

    `invalid` carries the raw text when the arguments were not a JSON object, or one out of bounds, and `why`
    says what is wrong with it; the loop then answers with a failed result that the model sees, and never
    calls the tool.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    invalid: str = ""
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """The result of a tool call, as the model reads it."""

    tool_call_id: str
    content: str
    is_error: bool = False


Block = Text | Thinking | ToolCall | ToolAnswer


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Adjacent messages of one role are merged by `prompt` before a provider sees them."""

    role: Literal["user", "assistant"]
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """All text blocks joined by blank lines."""
        return "\n\n".join(block.text for block in self.blocks if isinstance(block, Text))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one step. `input_tokens` counts only what was neither read from nor written to a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model must know of a tool: `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One step: everything a provider needs, and nothing about where it is written down.

    `seed` makes the offline model deterministic: entity, run and step, not wall clock. `timeout` is in
    seconds for the whole step. `thinking` is off, or an effort: low, medium, high, xhigh, max.
    `script` names an offline script (see `entities.types.script`).
    """

    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 16_000
    thinking: str = "off"
    timeout: float = 600.0
    max_retries: int = 2
    seed: str = ""
    script: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """What one step produced: the blocks in order, why it ended, and what it used.

    `stop_detail` is the provider's own word on an ending that needs one: why it refused, which limit was
    reached, or a reason that is newer than this code.
    """

    blocks: tuple[Block, ...]
    finish_reason: FinishReason
    usage: Usage
    model: str
    provider: str
    cost_usd: float | None = None
    stop_detail: str = ""

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that the model asked for, in its order."""
        return tuple(block for block in self.blocks if isinstance(block, ToolCall))

    @property
    def text(self) -> str:
        """All text blocks joined by blank lines."""
        return "\n\n".join(block.text for block in self.blocks if isinstance(block, Text))
