"""What an offline script sees and says: a `Turn` in, a `Plan` out, and the register of scripts.

A script is a plain function of the conversation. It must not look at the clock or at chance; where it wants
variety, it asks the turn to choose, which depends on the seed of the request and on what was said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from entities.agent.messages import Message, ModelRequest, ToolAnswer, ToolCall, ToolSpec

T = TypeVar("T")


def pick(options: Sequence[T], *parts: object) -> T:
    """One of the options, the same one for the same parts for ever."""
    return options[_number(*parts) % len(options)]


def shuffled(options: Sequence[T], *parts: object) -> list[T]:
    """The options in an order that depends on the parts alone."""
    ranked = sorted(range(len(options)), key=lambda index: _number(*parts, index))
    return [options[index] for index in ranked]


def digest(*parts: object) -> str:
    """Hexadecimal digits that depend on the parts alone."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def _number(*parts: object) -> int:
    return int(digest(*parts)[:12], 16)


@dataclass(frozen=True, slots=True)
class Answered:
    """A tool call since the person last spoke, with its answer."""

    name: str
    arguments: Mapping[str, Any]
    content: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What the model does in one step: think, say something, call tools; then the step is over.

    A plan without calls ends the run. `thinking` is dropped when the request has thinking off.
    """

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()


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


Script = Callable[[Turn], Plan]

_scripts: dict[str, Script] = {}


def offline_script(name: str) -> Callable[[Script], Script]:
    """Register a function as the offline script of this name; `ModelRequest.script` chooses it.

    Raises ValueError if another function has the name already.
    """

    def register(script: Script) -> Script:
        known = _scripts.setdefault(name, script)
        if (known.__module__, known.__qualname__) != (script.__module__, script.__qualname__):
            raise ValueError(f"The offline script {name!r} is defined in {known.__module__} already.")
        _scripts[name] = script
        return script

    return register


def find_script(name: str) -> Script | None:
    """The script of this name, if there is one."""
    return _scripts.get(name)


def script_names() -> list[str]:
    """The names that a request may ask for."""
    return sorted(_scripts)
