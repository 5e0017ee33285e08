"""A `State` declares collections whose rows are instances of their models, on any stream."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from entities.api import (
    Collection,
    HandlerContext,
    InvalidInput,
    InvalidRow,
    RegistryError,
    State,
    StateRow,
    WakeEvent,
    db,
)
from entities.testing.runtime import handle_all, look, own_types, spawn
from entities.types.registry import Registry
from shared_state.models import RowRecord

pytestmark = pytest.mark.django_db(transaction=True)


class Item(BaseModel):
    key: str
    name: str = Field(alias="title", default="")
    done: bool = False


class TrackerState(State):
    items = Collection(Item)
    loose = Collection()


class Board(State):
    cards = Collection(Item, type="shared:card")


class Other(State):
    notes = Collection(Item)


async def within(use: Any) -> list[Any]:
    """What a handler with a `TrackerState` came to; what it raised is raised here."""
    found: list[Any] = []

    with own_types() as types:

        @types.define("tracker", state=TrackerState)
        async def tracker(ctx: HandlerContext[TrackerState], wake: WakeEvent) -> None:
            try:
                found.append(await use(ctx))
            except (InvalidInput, InvalidRow) as error:
                found.append(error)

        await spawn("tracker", message="go")
        await handle_all()
    return found


async def test_rows_are_instances_of_the_model() -> None:
    async def use(ctx: HandlerContext[TrackerState]) -> Any:
        made = await ctx.state.items.insert(key="a", title="Milk")
        changed = await ctx.state.items.update("a", done=True)
        replaced = await ctx.state.items.upsert(Item(key="b", title="Tea"))
        return [made, changed, replaced, await ctx.state.items.get("a"), *await ctx.state.items.all()]

    (found,) = await within(use)

    milk, tea = Item(key="a", title="Milk", done=True), Item(key="b", title="Tea")
    assert found == [Item(key="a", title="Milk"), milk, tea, milk, milk, tea]


async def test_nothing_is_none_and_filters_go_by_what_is_stored() -> None:
    async def use(ctx: HandlerContext[TrackerState]) -> Any:
        await ctx.state.items.insert(key="a", title="Milk")
        return [await ctx.state.items.get("x"), await ctx.state.items.row("x")], [
            item.key for item in await ctx.state.items.filter(title="Milk")
        ]

    assert await within(use) == [([None, None], ["a"])]


async def test_the_stored_row_knows_its_version_and_its_writer() -> None:
    async def use(ctx: HandlerContext[TrackerState]) -> Any:
        await ctx.state.items.insert(key="a", title="Milk")
        return await ctx.state.items.row("a")

    (row,) = await within(use)

    assert isinstance(row, StateRow)
    assert row == {"key": "a", "title": "Milk", "done": False}
    assert row.version > 0
    assert row.writer.startswith("agent:/tracker/")


async def test_a_collection_without_a_model_hands_out_stored_rows() -> None:
    async def use(ctx: HandlerContext[TrackerState]) -> Any:
        return await ctx.state.loose.insert(key="a", anything=[1])

    (row,) = await within(use)

    assert isinstance(row, StateRow)
    assert row["anything"] == [1]


async def test_a_row_that_no_longer_fits_says_where() -> None:
    async def use(ctx: HandlerContext[TrackerState]) -> Any:
        await ctx.state.items.insert(key="a", title="Milk")
        await look(RowRecord.objects.filter(type="state:items").update, value={"key": "a", "done": "perhaps"})
        return await ctx.state.items.get("a")

    (error,) = await within(use)

    assert isinstance(error, InvalidRow)
    assert "does not fit Item: done:" in str(error)


async def test_a_shared_state_is_typed_by_the_same_declaration() -> None:
    async def use(ctx: HandlerContext[TrackerState]) -> Any:
        await ctx.mkdb("b", Board.schema())
        shared = await ctx.observe(db("b", Board.schema()))
        made = await shared.typed(Board).cards.insert(key="a", title="Milk")
        return [made, await shared.cards.get("a")]

    (found,) = await within(use)

    assert found[0] == Item(key="a", title="Milk")
    assert found[1] == {"key": "a", "title": "Milk", "done": False}


async def test_a_declaration_of_other_collections_is_refused() -> None:
    async def use(ctx: HandlerContext[TrackerState]) -> Any:
        shared = await ctx.mkdb("b", Board.schema())
        return shared.typed(Other)

    (error,) = await within(use)

    assert isinstance(error, InvalidInput)
    assert str(error) == "shared state b has no collection notes; it has cards."


def test_a_class_that_declares_nothing_is_no_state() -> None:
    with pytest.raises(RegistryError, match="Item declares no collections; derive it from State"):

        @Registry().define("thing", state=Item)
        async def thing(ctx: HandlerContext, wake: WakeEvent) -> None: ...


def test_a_state_has_the_collections_of_its_bases() -> None:
    class More(TrackerState):
        others = Collection(Item)

    assert list(More.declared()) == ["items", "loose", "others"]
