"""The protocol between the loop and a model provider, and the errors a provider may raise.

A provider is an async generator: it yields what happens, in order, and ends with exactly one `StepDone`.
It keeps no state between steps and writes nothing down: the loop does. To stop it, close it
(`aclose`) or cancel the task: it must leave the network within a second.
"""

from __future__ import annotations

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


class ModelError(Exception):
    """The model could not answer."""

    code = "model_error"
    retryable = False

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.retry_after = retry_after
        """Seconds that the provider asked us to wait, if it did."""


class ModelUnavailable(ModelError):
    """The provider is overloaded, limits our rate, or the connection was lost. Try again later."""

    code = "model_unavailable"
    retryable = True


class ModelRefused(ModelError):
    """The provider does not accept the request: the key, the model's name or a parameter is wrong."""

    code = "model_refused"


class ModelTimeout(ModelUnavailable):
    """The step took longer than its timeout."""

    code = "model_timeout"
