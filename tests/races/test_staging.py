"""Handlers of two processes that change the same rows, staged and not: nothing is lost, nobody is refused."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from django.db import connection

from entities.api import Collection, NewEntity, SharedStateSchema, db, registry, spawn_now
from entities.testing.runtime import handle_all, own_types, quiet, working
from entities.types.registry import Registry
from shared_state import api
from shared_state.models import RowRecord
from shared_state.write.writer import LARGE
from tests.conformance.writing import other_process

ADA = api.Principal("user", "ada")
SCHEMA = SharedStateSchema(counts=Collection())
AGENTS, TIMES, ROWS = 8, 10, ("a", "b")
TIMEOUT = 120.0  # seconds


def one_more(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "n": row["n"] + 1}


def define(types: Registry, refused: list[str]) -> None:
    """`maker` makes the rows; each `adder` adds to both, alone and within `atomic`, in its own order."""

    @types.define("maker")
    async def maker(ctx: Any, wake: Any) -> None:
        board = await ctx.mkdb("tally", SCHEMA)
        for key in ROWS:
            await board.counts.insert(key=key, n=0)

    @types.define("adder", state={"done": Collection()})
    async def adder(ctx: Any, wake: Any) -> None:
        board = await ctx.observe(db("tally", SCHEMA))
        mine = list(ROWS if int(ctx.entity_url.rsplit("-", 1)[1]) % 2 else reversed(ROWS))
        try:
            for number in range(TIMES):
                async with ctx.atomic():
                    for key in mine:
                        await board.counts.update(key, one_more)
                    await board.counts.insert(key=f"{ctx.entity_url}-{number}")
                    await ctx.state.done.insert(key=str(number))
                await board.counts.update(mine[0], one_more)
            await add_many(ctx, board, mine[0])
        except api.SharedStateError as error:
            refused.append(repr(error))


class ChangedMind(Exception):
    """What was done in a block is not to be."""


async def add_many(ctx: Any, board: Any, key: str) -> None:
    """A commit so large that it has a writer of its own, with a block that is taken back."""
    async with ctx.atomic():
        for number in range(LARGE):
            await board.counts.insert(key=f"{ctx.entity_url}-many-{number}")
        with contextlib.suppress(ChangedMind):
            async with ctx.atomic():
                await board.counts.insert(key=f"{ctx.entity_url}-never")
                await board.counts.update(key, one_more)
                raise ChangedMind
        await board.counts.update(key, one_more)


async def _work() -> None:
    async with working(concurrency=AGENTS) as worker:
        await quiet(worker, TIMEOUT)


def add(name: str) -> list[str]:
    """One process's part; answers what it was refused."""
    refused: list[str] = []
    with own_types() as types:
        define(types, refused)
        types.store()
        asyncio.run(_work())
    connection.close()
    return refused


def test_two_processes_add_to_the_same_rows() -> None:
    with own_types() as types:
        define(types, [])
        types.store()
        spawn_now(ADA, NewEntity("maker", "the-maker", message="go"))
        asyncio.run(handle_all())
        for number in range(AGENTS):
            spawn_now(ADA, NewEntity("adder", f"adder-{number}", message="go"))
    registry.store()

    with other_process(add, name="there") as other:
        other.go()
        here = add("here")
        there = other.result()

    assert (here, there) == ([], [])
    found = {row.key: row.value for row in RowRecord.objects.filter(stream__path=db("tally").path)}
    staged = AGENTS * TIMES
    assert sorted(found[key]["n"] for key in ROWS) == [staged + staged // 2 + AGENTS // 2] * 2
    assert len(found) == len(ROWS) + staged + AGENTS * LARGE
    assert RowRecord.objects.filter(type="state:done").count() == staged
