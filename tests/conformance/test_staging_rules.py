"""What is staged: worked out once, beside the writer, seen by who staged it, checked when it is written."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from entities.api import Change, Collection, RunFinished, SharedStateSchema, db, entity, tool
from entities.models import Subscription, Timer
from entities.testing.runtime import events, handle_all, look, rows, said_to, spawn, values
from entities.types.registry import Registry
from shared_state.api import Provenance, RowExists, RowNotFound, VersionConflict
from tests.support.acting import Acting, somebody_sets
from tests.support.calling import Caller

SCHEMA = SharedStateSchema(notes=Collection())
BEN = Provenance("user:ben")


async def test_a_read_sees_what_is_staged_over_what_is_committed_by_then(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        mine = ctx.state.mine
        for key in "abc":
            await mine.insert(key=key, n=0)
        async with ctx.atomic():
            await mine.update("b", n=1)
            await mine.delete("a")
            await mine.insert(key="z", n=1)
            await mine.delete("c")
            await mine.insert(key="c", n=2)
            before = [(row["key"], row["n"]) for row in await mine.all()]
            await somebody_sets(ctx.session.stream, "y", n=9)
            after = [(row["key"], row["n"]) for row in await mine.all()]
            single = [await mine.get(key) for key in "abcyz"]
        return before, after, single, [row["key"] for row in await mine.all()]

    before, after, single, written = await actor.do(act)

    assert before == [("b", 1), ("z", 1), ("c", 2)]
    assert after == [("b", 1), ("y", 9), ("z", 1), ("c", 2)]
    assert [row and row["n"] for row in single] == [None, 1, 2, 9, 1]
    assert written == ["b", "y", "z", "c"]


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_function_is_called_once_and_never_by_the_writer(actor: Acting, atomic: bool) -> None:
    called: list[str] = []

    def more(row: dict[str, Any]) -> None:
        called.append(threading.current_thread().name)
        row["n"] += 1

    async def act(ctx: Any) -> Any:
        await ctx.state.mine.insert(key="a", n=1)
        if not atomic:
            return await ctx.state.mine.update("a", more)
        async with ctx.atomic():
            changed = await ctx.state.mine.update("a", more)
            await ctx.state.mine.insert(key="b", n=1)
            await ctx.state.mine.get("a")
        return changed

    changed = await actor.do(act)

    assert changed["n"] == 2
    assert len(called) == 1
    assert "writer" not in called[0]
    (row,) = [row for row in await rows(actor.url, "state:mine") if row.key == "a"]
    assert row.value["n"] == 2
    assert atomic or changed.version == row.version


async def test_what_a_function_raises_is_raised_at_its_line_and_undoes_that_alone(actor: Acting) -> None:
    def wrong(row: dict[str, Any]) -> None:
        row["n"] = 5
        raise StopIteration

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a", n=1)
            with pytest.raises(RuntimeError, match="StopIteration"):
                await ctx.state.mine.update("a", wrong)
            with pytest.raises(RowNotFound):
                await ctx.state.mine.delete("b")
            with pytest.raises(RowExists):
                await ctx.state.mine.insert(key="a")

    assert await actor.do(act) is None
    assert await values(actor.url, "state:mine") == [{"key": "a", "n": 1}]


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_function_is_called_again_if_somebody_was_faster_and_loses_nothing(
    actor: Acting, atomic: bool
) -> None:
    seen: list[int] = []

    async def act(ctx: Any) -> None:
        loop = asyncio.get_running_loop()

        def more(row: dict[str, Any]) -> None:
            seen.append(row["n"])
            if len(seen) == 1:
                other = threading.Thread(target=overtake)  # in a context of its own: here is a unit
                other.start()
                other.join()
            row["n"] += 1

        def overtake() -> None:
            change = somebody_sets(ctx.session.stream, "a", n=10)
            asyncio.run_coroutine_threadsafe(change, loop).result()

        await ctx.state.mine.insert(key="a", n=1)
        if not atomic:
            await ctx.state.mine.update("a", more)
            return
        async with ctx.atomic():
            await ctx.state.mine.insert(key="b", n=0)
            await ctx.state.mine.update("a", more)
            await ctx.state.mine.update("a", lambda row: {**row, "m": row["n"]})

    assert await actor.do(act) is None
    assert seen == [1, 10]
    rows = {row["key"]: row for row in await values(actor.url, "state:mine")}
    assert rows["a"] == {"key": "a", "n": 11} | ({"m": 11} if atomic else {})


async def test_a_row_that_was_read_and_changed_meanwhile_refuses_the_commit(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        await ctx.state.mine.insert(key="a", n=1)
        async with ctx.atomic():
            found = await ctx.state.mine.get("a")
            await somebody_sets(ctx.session.stream, "a", n=7)
            await ctx.state.mine.insert(key="b", n=found["n"] + 1)

    conflict = await actor.do(act)

    assert isinstance(conflict, VersionConflict)
    assert conflict.current == {"key": "a", "n": 7}
    assert [row["key"] for row in await values(actor.url, "state:mine")] == ["a"]


async def test_a_row_that_was_not_there_when_it_was_read_counts_as_well(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            assert await ctx.state.mine.get("a") is None
            await somebody_sets(ctx.session.stream, "a", n=7)
            await ctx.state.mine.upsert(key="a", n=1)

    assert isinstance(await actor.do(act), VersionConflict)
    assert await values(actor.url, "state:mine") == [{"key": "a", "n": 7}]


async def test_whoever_changes_nothing_may_have_read_what_is_over(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.state.mine.insert(key="a", n=1)
        async with ctx.atomic():
            found = await ctx.state.mine.get("a")
            await somebody_sets(ctx.session.stream, "a", n=7)
            return found["n"], (await ctx.state.mine.get("a"))["n"]

    assert await actor.do(act) == (1, 7)


async def test_single_fields_are_changed_in_the_row_as_it_is_at_the_commit(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        await ctx.state.mine.insert(key="a", n=1, m=1)
        async with ctx.atomic():
            await ctx.state.mine.update("a", n=2)
            await somebody_sets(ctx.session.stream, "a", n=7, m=7)

    assert await actor.do(act) is None
    assert await values(actor.url, "state:mine") == [{"key": "a", "n": 2, "m": 7}]


async def test_a_version_of_a_row_that_was_staged_may_be_expected(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        await ctx.state.mine.insert(key="a", n=1)
        async with ctx.atomic():
            row = await ctx.state.mine.update("a", n=2)
            await somebody_sets(ctx.session.stream, "other", n=0)
            row = await ctx.state.mine.update("a", n=3, expect_version=row.version)
            with pytest.raises(VersionConflict):
                await ctx.state.mine.update("a", n=4, expect_version=row.version - 1)
            await ctx.state.mine.delete("a", expect_version=row.version)

    assert await actor.do(act) is None
    assert [row["key"] for row in await values(actor.url, "state:mine")] == ["other"]


async def test_an_expected_version_that_somebody_overtakes_refuses_the_commit(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        row = await ctx.state.mine.insert(key="a", n=1)
        async with ctx.atomic():
            await ctx.state.mine.update("a", n=3, expect_version=row.version)
            await somebody_sets(ctx.session.stream, "a", n=7)

    assert isinstance(await actor.do(act), VersionConflict)
    assert await values(actor.url, "state:mine") == [{"key": "a", "n": 7}]


async def test_what_is_changed_in_hand_after_it_was_staged_is_not_written(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        parts = ["one"]
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a", parts=parts)
            await ctx.state.mine.insert(key="b", parts=[])
            await ctx.state.mine.update("b", lambda row: {**row, "parts": parts})
            parts.append("two")

    assert await actor.do(act) is None
    assert [row["parts"] for row in await values(actor.url, "state:mine")] == [["one"], ["one"]]


async def test_atomic_within_atomic_is_the_same(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="a", n=1)
            async with ctx.atomic():
                await ctx.state.mine.update("a", lambda row: {**row, "n": row["n"] + 1})
            return await values(actor.url, "state:mine"), (await ctx.state.mine.get("a"))["n"]

    assert await actor.do(act) == ([], 2)
    assert await values(actor.url, "state:mine") == [{"key": "a", "n": 2}]


async def test_steps_side_by_side_are_taken_one_after_the_other(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        await ctx.state.mine.insert(key="sum", n=0)
        async with ctx.atomic(), asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(ctx.state.mine.insert(key=f"k{number}"))
                group.create_task(ctx.state.mine.update("sum", lambda row: {**row, "n": row["n"] + 1}))

    assert await actor.do(act) is None
    found = await values(actor.url, "state:mine")
    assert (len(found), found[0]["n"]) == (21, 20)


async def test_what_is_made_inside_can_be_used_inside_and_is_there_once(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.atomic():
            child = await ctx.spawn("friend", "new", initial_message="one", wake=RunFinished())
            await child.send("two")
            await ctx.send(child.entity_url, "later", after=timedelta(hours=1))
            again = await ctx.observe(entity(child.entity_url), wake=RunFinished())
            shared = await ctx.mkdb("board", SCHEMA)
            await shared.notes.insert(key="n")
            watched = await ctx.observe(db("board"), wake=Change())
            heard = [event.value["payload"] for event in await child.events() if event.type == "inbox"]
            seen = await watched.notes.all()
            with pytest.raises(Exception, match="already"):
                await ctx.spawn("friend", "new")
            return heard, await again.status(), seen

    heard, status, seen = await actor.do(act)

    assert (heard, seen) == (["one", "two"], [{"key": "n"}])
    assert status in ("spawning", "idle", "running")
    assert await said_to("/friend/new") == ["one", "two"]
    assert await look(lambda: Subscription.objects.filter(source__id__gt=0).count()) == 2
    assert await look(Timer.objects.count) == 1
    assert len(await events("shared:board", "shared:notes")) == 1


async def test_what_is_observed_inside_can_be_let_go_inside(actor: Acting) -> None:
    await spawn("friend", "f")
    await handle_all()

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.observe(entity("/friend/f"), wake=RunFinished())
            await ctx.unobserve(entity("/friend/f"))

    assert await actor.do(act) is None
    assert await look(Subscription.objects.count) == 0


async def test_a_safe_tool_that_read_what_changed_is_called_again(types: Registry) -> None:
    caller = Caller(types, ("double", {}))
    seen: list[int] = []

    def tools(ctx: Any) -> list[Any]:
        @tool(retry_safe=True)
        async def double() -> str:
            """Write down twice what is there."""
            found = await ctx.state.mine.get("a")
            seen.append(found["n"] if found else 0)
            if len(seen) == 1:
                await somebody_sets(ctx.session.stream, "a", n=21)
            await ctx.state.mine.upsert(key="twice", n=seen[-1] * 2)
            return str(seen[-1] * 2)

        return [double]

    caller.tools = tools
    url = await caller.call()

    assert (seen, caller.seen) == ([0, 21], [("42", False)])
    assert (await values(url, "state:mine"))[-1] == {"key": "twice", "n": 42}
