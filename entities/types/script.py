"""What a type says when no model does: offline scripts, as the authors of types write them.

A script is a plain function of the conversation, `def script(turn: OfflineTurn) -> Plan | None`. It must not
look at the clock or at chance; where it wants variety, it asks the turn to choose, which depends on the seed
of the request and on what was said. `None` leaves the step to the general script, which holds a conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

T = TypeVar("T")
Side = Literal["pro", "con"]
Winner = Literal["pro", "con", "draw"]


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


class Ruling(NamedTuple):
    """What a debate came to: the reasons in Markdown, who argued better, and the arguments it rests on."""

    text: str
    winner: Winner
    cites: Sequence[str]


class OfflineTurn(Protocol):
    """The conversation up to the step that is asked for."""

    @property
    def system(self) -> str:
        """The system prompt."""
        ...

    @property
    def tools(self) -> Mapping[str, Any]:
        """The tools that may be called, by name, with description and parameters."""
        ...

    @property
    def said(self) -> tuple[str, ...]:
        """What the person said, one text per message, oldest first."""
        ...

    @property
    def last(self) -> str:
        """What the person said last, or nothing."""
        ...

    @property
    def replies(self) -> tuple[str, ...]:
        """What the model said so far, oldest first."""
        ...

    @property
    def step(self) -> int:
        """The number of this step within the run: 1 answers the person, 2 sees the first tool answers."""
        ...

    @property
    def first(self) -> bool:
        """Whether the model has never said anything in this conversation."""
        ...

    @property
    def answers(self) -> tuple[Answered, ...]:
        """The tool calls of this run that have an answer, in the order of the answers."""
        ...

    def called(self, name: str) -> bool:
        """Whether this tool was called at any time in the conversation."""
        ...

    def offers(self, *names: str) -> str:
        """The first of these tools that the model may call, or nothing."""
        ...

    def choose(self, options: Sequence[T], salt: str = "") -> T:
        """One of the options: the same one for the same seed, words and salt."""
        ...

    def fresh(self, options: Sequence[str], salt: str = "") -> str:
        """Like `choose`, but a phrase that was not used in this conversation yet, as long as there is one."""
        ...

    def argue(self, topic: str, side: Side, round_number: int = 1, opponents: Sequence[str] = ()) -> str:
        """One argument of about 60 to 120 words for a side of any topic, in Markdown."""
        ...

    def rule(self, topic: str, arguments: Sequence[Mapping[str, Any]]) -> Ruling:
        """Weigh arguments with `key`, `side` and `text`."""
        ...


Script = Callable[[OfflineTurn], Plan | None]

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
