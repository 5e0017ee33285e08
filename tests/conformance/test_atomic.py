"""`ctx.atomic`: what is changed inside becomes visible together, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from entities.api import Collection, SharedStateSchema, db
from entities.models import Entity, Timer
from entities.testing.runtime import (
    events,
    expire,
    handle_all,
    handle_next,
    look,
    recover,
    said_to,
    spawn,
    values,
)
from entities.types.registry import Registry
from shared_state.api import RowExists
from tests.support.acting import Acting
from tests.support.killing import Killed

SCHEMA = SharedStateSchema(notes=Collection())


async def test_all_of_it_is_one_transaction(actor: Acting) -> None:
    await spawn("friend", "f")

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a")
            await ctx.send("/friend/f", "hello")
            await ctx.send("/friend/f", "later", after=timedelta(hours=1))
            await ctx.spawn("friend", "new", initial_message="welcome")
            await ctx.set_tag("mood", "good")

    await actor.do(act)

    own = [*await events(actor.url, "state:mine", "manifest", "tags"), *await events("/friend/f", "inbox")]
    assert len({event.timestamp for event in own if event.operation == "insert"}) == 1
    assert await said_to("/friend/f") == ["hello"]
    assert await said_to("/friend/new") == ["welcome"]
    assert await look(Timer.objects.count) == 1


async def test_nothing_of_it_happens_if_something_is_raised(actor: Acting) -> None:
    await spawn("friend", "f")

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a")
            await ctx.send("/friend/f", "hello")
            await ctx.send("/friend/f", "later", after=timedelta(hours=1))
            await ctx.spawn("friend", "new", initial_message="welcome")
            raise ValueError("second thoughts")

    assert str(await actor.do(act)) == "second thoughts"

    assert await values(actor.url, "state:mine") == []
    assert await said_to("/friend/f") == []
    assert not await look(Entity.objects.filter(slug="new").exists)
    assert await look(Timer.objects.count) == 0


async def test_inside_you_read_your_own_writes_and_nobody_else_does(actor: Acting) -> None:
    seen: dict[str, Any] = {}

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a", n=1)
            await ctx.state.mine.update("a", n=2)
            seen["inside"] = await ctx.state.mine.all()
            seen["outside"] = await values(actor.url, "state:mine")
        seen["after"] = await values(actor.url, "state:mine")

    await actor.do(act)
    assert seen == {"inside": [{"key": "a", "n": 2}], "outside": [], "after": [{"key": "a", "n": 2}]}


async def test_an_error_shows_at_its_own_line(actor: Acting) -> None:
    reached: list[str] = []

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a")
            reached.append("before")
            await ctx.state.mine.insert(key="a")
            reached.append("after")

    assert isinstance(await actor.do(act), RowExists)
    assert reached == ["before"]
    assert await values(actor.url, "state:mine") == []


async def test_an_error_that_is_caught_leaves_the_rest_standing(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a")
            with pytest.raises(RowExists):
                await ctx.state.mine.insert(key="a")
            await ctx.state.mine.insert(key="b")

    await actor.do(act)
    assert [row["key"] for row in await values(actor.url, "state:mine")] == ["a", "b"]


async def test_a_shared_state_made_inside_can_be_written_inside_and_after(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.atomic():
            shared = await ctx.mkdb("board", SCHEMA)
            await shared.notes.insert(key="inside")
            again = await ctx.observe(db("board"))
            await again.notes.insert(key="observed")
        await shared.notes.insert(key="after")
        await again.notes.insert(key="after, observed")
        return [row["key"] for row in await shared.notes.all()]

    assert await actor.do(act) == ["inside", "observed", "after", "after, observed"]


async def test_a_child_made_inside_can_be_read_after(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.atomic():
            child = await ctx.spawn("friend", "new", initial_message="welcome")
        return [row["payload"] for row in await child.db.collections.inbox.all()]

    assert await actor.do(act) == ["welcome"]


async def test_a_repeated_wake_does_it_once(types: Registry) -> None:
    calls: list[int] = []

    @types.define("twice", state={"mine": Collection()})
    async def twice(ctx: Any, wake: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a")
            await ctx.send(ctx.entity_url, "to myself")
        calls.append(1)
        if len(calls) == 1:
            raise Killed

    url = await spawn("twice", message="go")
    with pytest.raises(Killed):
        await handle_all()
    await expire(url)
    await recover()

    await handle_next("heir")
    assert await said_to(url) == ["go", "to myself"]
    assert len(await events(url, "state:mine")) == 1


class Changing(Exception):
    """The handler changes its mind."""


async def test_what_is_raised_in_an_inner_block_and_caught_undoes_that_alone(actor: Acting) -> None:
    await spawn("friend", "f")

    async def act(ctx: Any) -> Any:
        mine = ctx.state.mine
        async with ctx.atomic():
            await mine.insert(key="a", n=1)
            with suppress(Changing):
                async with ctx.atomic():
                    await mine.insert(key="b")
                    await mine.update("a", n=2)
                    await ctx.send("/friend/f", "never")
                    await ctx.spawn("friend", "never")
                    raise Changing
            inside = [(row["key"], row["n"]) for row in await mine.all()]
            await mine.insert(key="b", n=3)
        return inside

    assert await actor.do(act) == [("a", 1)]
    assert await values(actor.url, "state:mine") == [{"key": "a", "n": 1}, {"key": "b", "n": 3}]
    assert await said_to("/friend/f") == []
    assert await look(lambda: Entity.objects.filter(url="/friend/never").exists()) is False


@pytest.mark.parametrize("outer", [True, False])
async def test_blocks_are_undone_to_any_depth(actor: Acting, outer: bool) -> None:
    """With the middle one goes what the innermost had done."""

    async def act(ctx: Any) -> None:
        mine = ctx.state.mine
        async with ctx.atomic():
            await mine.insert(key="a")
            try:
                async with ctx.atomic():
                    await mine.insert(key="b")
                    async with ctx.atomic():
                        await mine.insert(key="c")
                    with suppress(Changing):
                        async with ctx.atomic():
                            await mine.insert(key="d")
                            raise Changing
                    if outer:
                        raise Changing
            except Changing:
                pass
            await mine.insert(key="e")

    assert await actor.do(act) is None
    kept = ["a", "e"] if outer else ["a", "b", "c", "e"]
    assert [row["key"] for row in await values(actor.url, "state:mine")] == kept


async def test_a_block_of_one_task_leaves_what_others_stage_beside_it(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        mine = ctx.state.mine

        async def failing(number: int) -> None:
            with suppress(Changing):
                async with ctx.atomic():
                    await mine.insert(key=f"never{number}")
                    raise Changing

        async with ctx.atomic():
            work = [(failing(n), mine.insert(key=f"k{n}")) for n in range(8)]
            await asyncio.gather(*(task for pair in work for task in pair))

    assert await actor.do(act) is None
    assert sorted(row["key"] for row in await values(actor.url, "state:mine")) == [f"k{n}" for n in range(8)]
