"""A tool that finds somebody was faster: made again if that is safe, and only as long as that may help."""

from __future__ import annotations

import asyncio
from typing import Any

from entities.api import tool
from entities.testing.runtime import rows
from entities.types.registry import Registry
from shared_state.api import NewEvent, Provenance, submit
from tests.support.calling import Caller


async def test_a_call_that_was_overtaken_is_made_again_if_that_is_safe(types: Registry) -> None:
    """Each works out the same number side by side; whoever commits later counts again."""
    caller = Caller(types, *(("count", {"who": who}) for who in "abc"))
    all_three = asyncio.Barrier(3)
    made: list[str] = []

    def tools(ctx: Any) -> list[Any]:
        @tool(retry_safe=True)
        async def count(who: str) -> str:
            """Take the next number."""
            number = await ctx.state.mine.count() + 1
            await ctx.state.mine.insert(key=str(number), who=who)
            if who not in made:
                made.append(who)
                await all_three.wait()
            return f"{number}"

        return [count]

    caller.tools = tools
    url = await caller.call()

    assert sorted(caller.seen) == [("1", False), ("2", False), ("3", False)]
    assert sorted(row.value["who"] for row in await rows(url, "state:mine")) == ["a", "b", "c"]


async def test_a_call_that_was_overtaken_between_its_look_and_its_change_is_made_again(
    types: Registry,
) -> None:
    caller = Caller(types, ("count", {}))
    seen: list[int] = []

    def tools(ctx: Any) -> list[Any]:
        @tool(retry_safe=True)
        async def count() -> str:
            """Take the next number."""
            number = await ctx.state.mine.count() + 1
            seen.append(number)
            if len(seen) == 1:
                other = NewEvent("state:mine", "1", {"key": "1", "who": "somebody else"})
                await submit(
                    lambda unit: unit.append(ctx.session.stream, [other]), provenance=Provenance("user:ada")
                )
            await ctx.state.mine.insert(key=str(number), who="me")
            return f"{number}"

        return [count]

    caller.tools = tools
    url = await caller.call()

    assert (seen, caller.seen) == ([1, 2], [("2", False)])
    assert [row.value["who"] for row in await rows(url, "state:mine")] == ["somebody else", "me"]


async def test_a_call_that_collides_by_itself_is_not_made_for_ever(types: Registry) -> None:
    caller = Caller(types, ("claim", {}))
    made: list[int] = []

    def tools(ctx: Any) -> list[Any]:
        @tool(retry_safe=True)
        async def claim() -> str:
            """Take the same seat twice."""
            made.append(1)
            await ctx.state.mine.insert(key="seat")
            await ctx.state.mine.insert(key="seat")
            return "never"

        return [claim]

    caller.tools = tools
    url = await caller.call()

    assert len(made) == 2
    assert caller.seen == [
        ("There is a state:mine with key 'seat' already; update it, or choose another key.", True)
    ]
    assert await rows(url, "state:mine") == []
