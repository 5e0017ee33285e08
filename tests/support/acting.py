"""An entity that does, inside its handler, what the test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from entities.api import Collection
from entities.testing.runtime import handle_all, spawn, tell
from entities.types.registry import Registry
from shared_state.api import NewEvent, Provenance, submit

Act = Callable[[Any], Awaitable[Any]]


class Acting:
    """One function of `ctx` for each message, and what came of it: its result, or what it raised."""

    def __init__(self, types: Registry, name: str = "actor", **options: Any) -> None:
        self.url = f"/{name}/the-{name}"
        self.results: list[Any] = []
        self._name = name
        self._acts: list[Act] = []
        options.setdefault("state", {"mine": Collection()})

        @types.define(name, **options)
        async def actor(ctx: Any, wake: Any) -> None:
            if wake.type == "wake":
                self.results.append(wake.payload)
                return
            try:
                self.results.append(await self._acts.pop(0)(ctx))
            except Exception as error:  # noqa: BLE001  the test looks at it
                self.results.append(error)

    async def do(self, act: Act) -> Any:
        """Let the entity do something; answers what came of it."""
        self._acts.append(act)
        if len(self.results) == 0:
            await spawn(self._name, f"the-{self._name}", message="do")
        else:
            await tell(self.url, "do")
        await handle_all()
        return self.results[-1]

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What it was told by wakes that were no messages."""
        return [result for result in self.results if isinstance(result, dict) and "finished_child" in result]


async def somebody_sets(stream: int, key: str, **fields: Any) -> None:
    """Somebody else writes a row of its collection `mine`."""
    event = NewEvent("state:mine", key, {"key": key, **fields}, "upsert")
    await submit(lambda unit: unit.append(stream, [event]), provenance=Provenance("user:ben"))
