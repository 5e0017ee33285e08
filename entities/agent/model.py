"""The protocol between the loop and a model provider, and the errors a provider may raise.

A provider is an async generator: it yields what happens, in order, and ends with exactly one `StepDone`.
It keeps no state between steps and writes nothing down: the loop does. To stop it, close it
(`aclose`) or cancel the task: it must leave the network within a second.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from entities.agent.messages import ModelRequest, Response


@dataclass(frozen=True, slots=True)
class BlockStarted:
    """Block `index` (0, 1, …, in order) begins. For a tool call, its id and name are known already."""

    index: int
    kind: Literal["text", "thinking", "tool_call"]
    tool_call_id: str = ""
    tool_name: str = ""


@dataclass(frozen=True, slots=True)
class BlockDelta:
    """More of block `index`: text, reasoning, or a piece of the JSON of a tool call's arguments."""

    index: int
    delta: str


@dataclass(frozen=True, slots=True)
class BlockEnded:
    """Block `index` is complete; `StepDone.response.blocks[index]` will be its whole."""

    index: int


@dataclass(frozen=True, slots=True)
class StepDone:
    """The step is complete. Always last."""

    response: Response


ModelEvent = BlockStarted | BlockDelta | BlockEnded | StepDone


class Provider(Protocol):
    """Turns a request into a stream of events."""

    name: str

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one step. Raises `ModelError`. Read it inside `contextlib.aclosing`."""
        ...

    async def aclose(self) -> None:
        """Give back what this event loop's steps have opened."""
        ...


LONGEST_WAIT = 3600.0
"""No provider's word puts a run off for longer, in seconds: it is asked again then."""


def bounded_wait(seconds: float) -> float:
    """A wait that somebody else asks for, within reason."""
    try:
        wait = float(seconds)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return 0.0 if math.isnan(wait) else min(max(wait, 0.0), LONGEST_WAIT)


WindowFault = Literal["", "refused", "too long"]
"""Nothing; something in the conversation is not accepted; it is longer than the model takes."""


class ModelError(Exception):
    """The model could not answer."""

    code = "model_error"
    retryable = False

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.retry_after = None if retry_after is None else bounded_wait(retry_after)
        """Seconds that the provider asked us to wait, if it did; an hour at the most."""


class ModelUnavailable(ModelError):
    """The provider is overloaded, limits our rate, or the connection was lost. Try again later."""

    code = "model_unavailable"
    retryable = True


class ModelRefused(ModelError):
    """The provider does not accept the request: the key, the model's name or a parameter is wrong."""

    code = "model_refused"

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, window: WindowFault = ""
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.window = window
        """What is wrong with the conversation, if anything may be: then it is sent again with less."""


class ModelTimeout(ModelUnavailable):
    """The step took longer than its timeout."""

    code = "model_timeout"
