"""An entity's own collections: validated, read back as written, changed once however often a wake is run."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from entities.api import Collection, VersionConflict
from entities.testing.runtime import events, expire, handle_all, recover, rows, spawn, tell, values
from entities.types.registry import Registry
from shared_state.api import InvalidRow, RowExists, RowNotFound
from tests.support.acting import Acting
from tests.support.killing import Killed


class Item(BaseModel):
    """A row."""

    key: str
    name: str
    done: bool = False


@pytest.fixture
def actor(types: Registry) -> Acting:
    """Somebody with a list of items, and a drawer for anything."""
    return Acting(types, state={"items": Collection(Item), "things": Collection(primary_key="id")})


async def test_a_row_is_read_back_as_it_was_written(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        made = await ctx.state.items.insert(key="a", name="bread")
        return made, await ctx.state.items.get("a"), await ctx.state.items.get("b")

    assert await actor.do(act) == (
        {"key": "a", "name": "bread", "done": False},
        {"key": "a", "name": "bread", "done": False},
        None,
    )


async def test_rows_may_be_given_as_models_dicts_or_fields(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.state.items.insert(Item(key="a", name="bread"))
        await ctx.state.items.insert({"key": "b", "name": "milk"})
        await ctx.state.items.insert(key="c", name="eggs")
        return [row["name"] for row in await ctx.state.items.all()]

    assert await actor.do(act) == ["bread", "milk", "eggs"]


EMPTY_KEY = "items, key: a key is a whole number or a text of 1 to 255 characters, not ''."


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"key": "a"}, "items: 'name' is a required property"),
        ({"key": "a", "name": 7}, "items, name: 7 is not of type 'string'"),
        ({"name": "bread"}, "items: 'key' is a required property"),
        ({"key": "", "name": "bread"}, EMPTY_KEY),
    ],
)
async def test_a_row_that_does_not_fit_is_refused_with_field_and_reason(
    actor: Acting, row: dict[str, Any], reason: str
) -> None:
    error = await actor.do(lambda ctx: ctx.state.items.insert(row))

    assert isinstance(error, InvalidRow)
    assert str(error) == reason
    assert await rows(actor.url, "state:items") == []


async def test_an_update_that_does_not_fit_leaves_the_row_alone(actor: Acting) -> None:
    await actor.do(lambda ctx: ctx.state.items.insert(key="a", name="bread"))

    error = await actor.do(lambda ctx: ctx.state.items.update("a", name=None))

    assert isinstance(error, InvalidRow)
    assert [row["name"] for row in await values(actor.url, "state:items")] == ["bread"]


async def test_a_key_is_inserted_once(actor: Acting) -> None:
    await actor.do(lambda ctx: ctx.state.items.insert(key="a", name="bread"))

    assert isinstance(await actor.do(lambda ctx: ctx.state.items.insert(key="a", name="milk")), RowExists)


async def test_an_upsert_replaces_the_whole_row(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.state.items.upsert(key="a", name="bread", done=True)
        await ctx.state.items.upsert(key="a", name="milk")
        return await ctx.state.items.all()

    assert await actor.do(act) == [{"key": "a", "name": "milk", "done": False}]


async def test_an_update_changes_fields_or_applies_a_function(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.state.items.insert(key="a", name="bread")
        await ctx.state.items.update("a", done=True)
        await ctx.state.items.update("a", lambda row: {**row, "name": row["name"].upper()})
        return await ctx.state.items.get("a")

    assert await actor.do(act) == {"key": "a", "name": "BREAD", "done": True}


async def test_what_is_not_there_can_be_neither_updated_nor_deleted(actor: Acting) -> None:
    assert isinstance(await actor.do(lambda ctx: ctx.state.items.update("x", done=True)), RowNotFound)
    assert isinstance(await actor.do(lambda ctx: ctx.state.items.delete("x")), RowNotFound)


async def test_a_deleted_row_is_gone_and_its_key_free(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.state.items.insert(key="a", name="bread")
        await ctx.state.items.delete("a")
        gone = await ctx.state.items.get("a")
        await ctx.state.items.insert(key="a", name="milk")
        return gone, await ctx.state.items.count()

    assert await actor.do(act) == (None, 1)


async def test_filter_and_count(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        for number in range(4):
            await ctx.state.items.insert(key=f"k{number}", name="odd" if number % 2 else "even")
        odd = await ctx.state.items.filter(name="odd")
        return [row["key"] for row in odd], await ctx.state.items.count(), await ctx.state.items.filter(x=1)

    assert await actor.do(act) == (["k1", "k3"], 4, [])


async def test_without_a_model_rows_are_what_they_are(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.state.things.insert(id=7, anything=[1, {"deep": None}])
        return await ctx.state.things.get("7")

    assert await actor.do(act) == {"id": 7, "anything": [1, {"deep": None}]}


async def test_an_outdated_version_is_refused(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        row = await ctx.state.items.insert(key="a", name="bread")
        await ctx.state.items.update("a", done=True, expect_version=row.version)
        await ctx.state.items.delete("a", expect_version=row.version)

    assert isinstance(await actor.do(act), VersionConflict)


async def test_a_row_knows_who_wrote_it_in_which_wake(actor: Acting) -> None:
    row = await actor.do(lambda ctx: ctx.state.items.insert(key="a", name="bread"))

    assert (row.writer, row.wake) == (f"agent:{actor.url}", "w1")


async def test_an_unknown_collection_is_named_with_those_there_are(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        return ctx.state.itmes

    assert str(await actor.do(act)) == f"{actor.url} has no collection 'itmes'; it has items, things."


async def test_a_repeated_wake_changes_nothing_twice(types: Registry) -> None:
    """Every change has a key made of the wake and what it does; the second time it finds the first."""
    calls: list[int] = []

    @types.define("list", state={"items": Collection(Item)})
    async def keeper(ctx: Any, wake: Any) -> None:
        calls.append(1)
        await ctx.state.items.insert(key="a", name="bread")
        await ctx.state.items.update("a", done=True)
        await ctx.state.items.insert(key="b", name="milk")
        await ctx.state.items.delete("b")
        await ctx.state.items.update("a", name="rye bread")
        if len(calls) < 3:
            raise Killed

    url = await spawn("list", message="go")
    for _ in range(2):
        with pytest.raises(Killed):
            await handle_all()
        await expire(url)
        await recover()
    await handle_all()

    assert len(calls) == 3
    assert len(await events(url, "state:items")) == 5
    assert await values(url, "state:items") == [{"key": "a", "name": "rye bread", "done": True}]


async def test_the_same_change_in_another_wake_is_another_change(types: Registry) -> None:
    @types.define("counter", state={"n": Collection()})
    async def counter(ctx: Any, wake: Any) -> None:
        await ctx.state.n.upsert(key="k" * 250, value=wake.payload)

    url = await spawn("counter", message="one")
    await handle_all()
    await tell(url, "two")
    await handle_all()

    assert [row["value"] for row in await values(url, "state:n")] == ["two"]


async def test_a_large_row_is_refused_and_says_how_large_it_may_be(actor: Acting) -> None:
    error = await actor.do(lambda ctx: ctx.state.things.insert(id="big", text="x" * 300_000))

    assert "one event may carry 262,144" in str(error)
