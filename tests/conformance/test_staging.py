"""Staging: worked out once, never in the writer; what was read is checked when it is committed."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from entities.api import Collection, EntityNotFound, SharedStateSchema, db, entity
from entities.models import Subscription, Timer
from entities.testing.runtime import (
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
from shared_state.api import NewEvent, Provenance, RowExists, RowNotFound, VersionConflict, submit
from tests.support.acting import Acting

SCHEMA = SharedStateSchema(notes=Collection())


class Killed(BaseException):
    """The process dies here."""


async def somebody_else(ctx: Any, key: str, **fields: Any) -> None:
    """Another process changes a row of the actor's."""
    event = NewEvent("state:mine", key, {"key": key, **fields}, "upsert")
    await submit(lambda unit: unit.append(ctx.session.stream, [event]), provenance=Provenance("user:ada"))


class Adding:
    """A function for `update` that remembers where it was called."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        self.threads.append(threading.current_thread().name)
        return {**row, "n": row["n"] + 1}


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_users_function_is_called_once_and_never_in_the_writer(actor: Acting, atomic: bool) -> None:
    add = Adding()

    async def act(ctx: Any) -> None:
        await ctx.state.mine.insert(key="a", n=1)
        if not atomic:
            await ctx.state.mine.update("a", add)
            return
        async with ctx.atomic():
            await ctx.state.mine.update("a", add)
            await ctx.state.mine.insert(key="b", n=1)
            await ctx.state.mine.insert(key="c", n=1)

    assert await actor.do(act) is None
    assert len(add.threads) == 1
    assert "writer" not in add.threads
    assert (await values(actor.url, "state:mine"))[0]["n"] == 2


@pytest.mark.parametrize("atomic", [True, False])
async def test_an_update_by_a_function_loses_nothing(actor: Acting, atomic: bool) -> None:
    calls: list[int] = []

    async def act(ctx: Any) -> Any:
        await ctx.state.mine.insert(key="a", n=1)
        loop = asyncio.get_running_loop()

        def overtaken(row: dict[str, Any]) -> dict[str, Any]:
            calls.append(row["n"])
            if len(calls) == 1:
                asyncio.run_coroutine_threadsafe(somebody_else(ctx, "a", n=10), loop).result(10)
            return {**row, "n": row["n"] + 1}

        if not atomic:
            return await ctx.state.mine.update("a", overtaken)
        async with ctx.atomic():
            return await ctx.state.mine.update("a", overtaken)

    answer = await actor.do(act)
    assert calls == [1, 10]
    assert await values(actor.url, "state:mine") == [{"key": "a", "n": 11}]
    if not atomic:
        assert (answer["n"], answer.version) == (11, (await look(lambda: _row(actor.url))).version)


def _row(url: str) -> Any:
    from shared_state.api import committed, get_stream

    return committed.row(get_stream(url).id, "state:mine", "a")


async def test_fields_that_others_change_meanwhile_stay(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        await ctx.state.mine.insert(key="a", mine=1, theirs=1)
        async with ctx.atomic():
            await ctx.state.mine.update("a", mine=2)
            await somebody_else(ctx, "a", mine=1, theirs=2)

    assert await actor.do(act) is None
    assert await values(actor.url, "state:mine") == [{"key": "a", "mine": 2, "theirs": 2}]


@pytest.mark.parametrize("there", [True, False])
async def test_what_was_read_is_checked_when_it_is_committed(actor: Acting, there: bool) -> None:
    async def act(ctx: Any) -> None:
        if there:
            await ctx.state.mine.insert(key="a", n=1)
        async with ctx.atomic():
            found = await ctx.state.mine.get("a")
            await ctx.state.mine.insert(key="b", n=found["n"] if found else 0)
            await somebody_else(ctx, "a", n=5)

    assert isinstance(await actor.do(act), VersionConflict)
    assert [row["key"] for row in await values(actor.url, "state:mine")] == ["a"]


async def test_who_only_reads_conflicts_with_nobody(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.get("a")
            await somebody_else(ctx, "a", n=5)

    assert await actor.do(act) is None


async def test_what_others_commit_is_seen_at_once(actor: Acting) -> None:
    """A tool may wait for somebody's row."""
    seen: list[Any] = []

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.state.mine.insert(key="b")
            seen.append(await ctx.state.mine.count())
            await somebody_else(ctx, "a", n=5)
            seen.append(await ctx.state.mine.count())
            seen.append([row["key"] for row in await ctx.state.mine.all()])

    assert await actor.do(act) is None
    assert seen[:2] == [1, 2]
    assert sorted(seen[2]) == ["a", "b"]


async def test_an_expected_version_is_that_of_the_draft_too(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            row = await ctx.state.mine.insert(key="a", n=1)
            row = await ctx.state.mine.update("a", n=2, expect_version=row.version)
            with pytest.raises(VersionConflict):
                await ctx.state.mine.update("a", n=3, expect_version=row.version - 1)
            await somebody_else(ctx, "b", n=0)  # the log moves on, and all offsets with it
            await ctx.state.mine.delete("a", expect_version=row.version)
            with pytest.raises(RowNotFound):
                await ctx.state.mine.update("a", n=4)

    assert await actor.do(act) is None
    assert [row["key"] for row in await values(actor.url, "state:mine")] == ["b"]


async def test_who_is_made_inside_can_be_told_asked_and_observed_inside(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        async with ctx.atomic():
            child = await ctx.spawn("friend", "new")
            await child.send("hello")
            await ctx.send(child.entity_url, "later", after=timedelta(hours=1))
            status = await child.status()
            seen = await ctx.observe(entity(child.entity_url))
            told = [event.type for event in await child.events()]
            return status, await seen.db.collections.mine.all(), told

    assert await actor.do(act) == ("idle", [], ["entity_created", "inbox"])
    assert await said_to("/friend/new") == ["hello"]
    assert await look(lambda: [timer.entity.url for timer in Timer.objects.all()]) == ["/friend/new"]


async def test_what_is_observed_inside_can_be_left_inside(actor: Acting) -> None:
    from entities.api import Change

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await ctx.mkdb("board", SCHEMA)
            await ctx.observe(db("board"), wake=Change())
            await ctx.unobserve(db("board"))

    assert await actor.do(act) is None
    assert await look(Subscription.objects.count) == 0


async def test_a_row_that_others_made_after_it_was_missed_can_be_changed(actor: Acting) -> None:
    """However many were missed before: then all keys are known, as they were."""

    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            for number in range(40):
                with pytest.raises(RowNotFound):
                    await ctx.state.mine.update(f"k{number}", n=1)
            for number in (0, 39, 77):
                await somebody_else(ctx, f"k{number}", n=5)
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
            await somebody_else(ctx, "a", n=5)
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


async def test_tasks_of_a_handler_may_stage_side_by_side(actor: Acting) -> None:
    async def act(ctx: Any) -> None:
        async with ctx.atomic():
            await asyncio.gather(*(ctx.state.mine.insert(key=f"k{n}") for n in range(50)))

    assert await actor.do(act) is None
    assert len(await values(actor.url, "state:mine")) == 50


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
