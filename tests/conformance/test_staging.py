"""Staging while others go on: what they make is found, who is cancelled or run again leaves it whole."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from entities.api import Collection, EntityNotFound
from entities.models import Timer
from entities.testing.runtime import (
    expire,
    handle_all,
    handle_next,
    look,
    recover,
    spawn,
    values,
)
from entities.types.registry import Registry
from shared_state.api import RowExists, RowNotFound
from tests.support.acting import Acting, somebody_sets
from tests.support.killing import Killed


async def test_what_others_commit_is_seen_at_once(actor: Acting) -> None:
    """A tool may wait for somebody's row."""
    seen: list[Any] = []

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="b")
            seen.append(await ctx.state.mine.count())
            await somebody_sets(ctx.session.stream, "a", n=5)
            seen.append(await ctx.state.mine.count())
            seen.append([row["key"] for row in await ctx.state.mine.all()])

    assert await actor.do(act) is None
    assert seen[:2] == [1, 2]
    assert sorted(seen[2]) == ["a", "b"]


async def test_a_row_that_others_made_after_it_was_missed_can_be_changed(actor: Acting) -> None:
    """However many were missed before: then all keys are known, as they were."""

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            for number in range(40):
                with pytest.raises(RowNotFound):
                    await ctx.state.mine.update(f"k{number}", n=1)
            for number in (0, 39, 77):
                await somebody_sets(ctx.session.stream, f"k{number}", n=5)
                await ctx.state.mine.update(f"k{number}", m=1)

    assert await actor.do(act) is None
    rows = {row["key"]: row for row in await values(actor.url, "state:mine")}
    assert rows == {f"k{number}": {"key": f"k{number}", "n": 5, "m": 1} for number in (0, 39, 77)}


async def test_an_update_begins_from_the_row_as_it_is_by_then(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.state.mine.insert(key="a", n=1)
        async with ctx.atomic():
            with pytest.raises(RowExists):
                await ctx.state.mine.insert(key="a", n=2)
            await somebody_sets(ctx.session.stream, "a", n=5)
            return (await ctx.state.mine.update("a", lambda row: {**row, "n": row["n"] + 1}))["n"]

    assert await actor.do(act) == 6


async def test_an_agent_that_was_made_after_it_was_missed_is_found(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            with pytest.raises(EntityNotFound):
                await ctx.send("/friend/late", "hello", after=timedelta(hours=1))
            await spawn("friend", "late")
            await ctx.send("/friend/late", "hello", after=timedelta(hours=1))

    assert await actor.do(act) is None
    assert await look(lambda: [timer.entity.url for timer in Timer.objects.all()]) == ["/friend/late"]


async def test_a_change_whose_caller_was_cancelled_is_staged_whole(actor: Acting) -> None:
    """The thread that works it out is not stopped by that, and what is read later agrees with the commit."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(row: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        assert go_on.wait(10)
        return {**row, "n": 2}

    async def act(ctx: Any) -> Any:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a", n=1)
            changing = asyncio.create_task(ctx.state.mine.update("a", slow))
            await asyncio.to_thread(begun.wait, 10)
            changing.cancel()
            reading = asyncio.create_task(ctx.state.mine.get("a"))
            asyncio.get_running_loop().call_soon(go_on.set)
            with pytest.raises(asyncio.CancelledError):
                await changing
            return (await reading)["n"]

    assert await actor.do(act) == 2
    assert await values(actor.url, "state:mine") == [{"key": "a", "n": 2}]


async def test_who_decides_otherwise_when_it_is_run_again_does_nothing_twice(types: Registry) -> None:
    calls: list[int] = []

    @types.define("wavering", state={"mine": Collection()})
    async def wavering(ctx: Any, wake: Any) -> None:
        calls.append(1)
        async with ctx.atomic():
            if len(calls) == 2:
                await ctx.state.mine.insert(key="b")
            await ctx.state.mine.insert(key="a")
        if len(calls) == 1:
            raise Killed

    url = await spawn("wavering", message="go")
    with pytest.raises(Killed):
        await handle_all()
    await expire(url)
    await recover()
    await handle_next("heir")

    assert sorted(row["key"] for row in await values(url, "state:mine")) == ["a", "b"]
