"""A type that answers with a long text, in many pieces; and pruning without waiting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from entities.agent import loop, recorder
from entities.agent.messages import Response, Text, Usage
from entities.agent.model import BlockDelta, BlockStarted, StepDone
from entities.conf import conf
from entities.models import Chore, Wake
from entities.testing.runtime import handle_all, look, spawn, tell
from entities.types.registry import Registry
from entities.upkeep.pruner import Pruner
from shared_state.models import EventRecord, Stream

WORDS = 400
ANSWER = " ".join(f"word{number % 10}" for number in range(WORDS))
"""About 2.4 KB."""
PIECE = 18
"""How many characters a piece has: what a model says in the twentieth part of a second."""


class Speaker:
    """A model that says `ANSWER` and nothing else."""

    name = "speaker"

    async def stream(self, request: Any) -> Any:
        """One text."""
        yield BlockStarted(0, "text")
        yield BlockDelta(0, ANSWER)
        yield StepDone(Response((Text(ANSWER),), "end_turn", Usage(1000, WORDS), "model-1", self.name, 0.01))

    async def aclose(self) -> None:
        """Nothing to give back."""


def speaking(types: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Define the type `speaker`. What it says is written in pieces, however fast it comes."""
    monkeypatch.setattr(recorder, "MAX_DELTA", PIECE)
    monkeypatch.setattr(loop, "get_provider", lambda *given: Speaker())

    @types.define("speaker")
    async def speaker(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You speak.").run()


async def answered(message: str = "Speak.", url: str = "") -> str:
    """The address of an agent that has just answered."""
    url = url or await spawn("speaker")
    await tell(url, message)
    await handle_all()
    return url


def an_hour_passes() -> None:
    """Everything in the logs was an hour earlier, as far as retention looks."""
    hour = timedelta(seconds=conf.keep_versions_seconds + 3600)
    EventRecord.objects.update(timestamp=F("timestamp") - hour)
    Wake.objects.filter(settled_at__isnull=False).update(settled_at=F("settled_at") - hour)
    Chore.objects.update(settled_at=None, place=0)


def prune(name: str = "a worker") -> int:
    """Prune until nothing is left to prune. Returns how many steps it took."""
    pruner, steps = Pruner(name), 0
    while pruner.step():
        steps += 1
    return steps


async def pruned() -> int:
    """The same, an hour later."""
    await look(an_hour_passes)
    return await look(prune)


def stored(path: str) -> list[tuple[int, str, str]]:
    """Offset, type and operation of the events that a stream has left."""
    found = EventRecord.objects.filter(stream=Stream.objects.get(path=path)).order_by("offset")
    return list(found.values_list("offset", "type", "operation"))
