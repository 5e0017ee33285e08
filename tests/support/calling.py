"""An agent that calls the tools it is told to, and what it reads of their results."""

from __future__ import annotations

import asyncio
from typing import Any

from entities.api import Collection
from entities.testing.runtime import handle_all, spawn
from entities.types.registry import Registry


class Caller:
    """A type that calls tools; `seen` is what the model read of their results in the last step."""

    def __init__(self, types: Registry, *calls: tuple[str, dict[str, Any]]) -> None:
        self.seen: list[tuple[str, bool]] = []
        self.tools: Any = lambda ctx: []
        self.steps: list[Any] = [list(calls), self._look]

        @types.define("caller", state={"mine": Collection()})
        async def caller(ctx: Any, wake: Any) -> None:
            tools = self.tools(ctx)
            if asyncio.iscoroutine(tools):
                tools = await tools
            await ctx.use_agent("You call.", tools=tools, test_responses=self.steps).run()

    def _look(self, request: Any) -> str:
        self.seen = [(block.content, block.is_error) for block in request.messages[-1].blocks]
        return "Done."

    async def call(self) -> str:
        """Let it call. Returns its address."""
        url = await spawn("caller", message="go")
        await handle_all()
        return url
