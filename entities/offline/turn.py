"""The conversation as an offline script sees it: what `OfflineTurn` promises, made from a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from entities.agent.messages import Message, ModelRequest, ToolAnswer, ToolCall, ToolSpec
from entities.offline import debate
from entities.offline.choice import pick, shuffled
from entities.types.script import Answered, Ruling, Side

T = TypeVar("T")


@dataclass(frozen=True)
class Turn:
    """The conversation as a script needs it; built from a request by `Turn.of`."""

    system: str
    messages: tuple[Message, ...]
    tools: Mapping[str, ToolSpec]
    seed: str
    context: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: ModelRequest) -> Turn:
        """The turn that a request asks for."""
        tools = {spec.name: spec for spec in request.tools}
        return cls(request.system, request.messages, tools, request.seed, request.context)

    @cached_property
    def _last_index(self) -> int:
        """Where the person's last message stands; -1 if nobody has said anything."""
        spoken = [i for i, message in enumerate(self.messages) if message.role == "user" and message.text]
        return spoken[-1] if spoken else -1

    @cached_property
    def said(self) -> tuple[str, ...]:
        """What the person said, one text per message, oldest first."""
        return tuple(message.text for message in self.messages if message.role == "user" and message.text)

    @cached_property
    def last(self) -> str:
        """What the person said last, or nothing."""
        return self.said[-1] if self.said else ""

    @cached_property
    def replies(self) -> tuple[str, ...]:
        """What the model said so far, oldest first."""
        return tuple(
            message.text for message in self.messages if message.role == "assistant" and message.text
        )

    @cached_property
    def recent(self) -> tuple[Message, ...]:
        """Everything after the person's last message."""
        return self.messages[self._last_index + 1 :]

    @cached_property
    def step(self) -> int:
        """The number of this step within the run: 1 answers the person, 2 sees the first tool answers."""
        return 1 + sum(message.role == "assistant" for message in self.recent)

    @cached_property
    def first(self) -> bool:
        """Whether the model has never said anything in this conversation."""
        return not self.replies

    @cached_property
    def answers(self) -> tuple[Answered, ...]:
        """The tool calls of this run that have an answer, in the order of the answers."""
        blocks = [block for message in self.recent for block in message.blocks]
        calls = {block.id: block for block in blocks if isinstance(block, ToolCall)}
        return tuple(
            Answered(call.name, call.arguments, block.content, block.is_error)
            for block in blocks
            if isinstance(block, ToolAnswer) and (call := calls.get(block.tool_call_id))
        )

    def called(self, name: str) -> bool:
        """Whether this tool was called at any time in the conversation."""
        blocks = (block for message in self.messages for block in message.blocks)
        return any(isinstance(block, ToolCall) and block.name == name for block in blocks)

    def offers(self, *names: str) -> str:
        """The first of these tools that the model may call, or nothing."""
        return next((name for name in names if name in self.tools), "")

    def choose(self, options: Sequence[T], salt: str = "") -> T:
        """One of the options: the same one for the same seed, words and salt."""
        return pick(options, self.seed, self.last, salt)

    def fresh(self, options: Sequence[str], salt: str = "") -> str:
        """Like `choose`, but a phrase that was not used in this conversation yet, as long as there is one."""
        before = "\n".join(self.replies)
        order = shuffled(options, self.seed, self.last, salt)
        return next((option for option in order if option not in before), order[0])

    def argue(self, topic: str, side: Side, round_number: int = 1, opponents: Sequence[str] = ()) -> str:
        """One argument for a side; see `entities.offline.debate`."""
        return debate.argue(topic, side, round_number, opponents)

    def rule(self, topic: str, arguments: Sequence[Mapping[str, Any]]) -> Ruling:
        """Weigh the arguments of both sides; see `entities.offline.debate`."""
        return Ruling(*debate.rule(topic, arguments))
