"""Rows of pydantic models in an agent's state: written from Python, read as JSON, or refused."""

from __future__ import annotations

import threading
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_validator

from entities.api import Collection, InvalidInput, InvalidRow, State
from entities.types.registry import Registry
from tests.support.acting import Acting


class Color(Enum):
    RED = "red"


class Paint(BaseModel):
    """A row with all that is not plain."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid", strict=True)
    color: Color
    due_date: date = Field(alias="dueDate")
    price: Decimal = Decimal("1.50")
    row: int = 0
    change: float = 0.0
    expect_version: int = 0
    tags: list[str] = Field(default_factory=list)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.row

    @field_validator("row")
    @classmethod
    def _where(cls, value: int) -> int:
        THREADS.append(threading.current_thread().name)
        return value


THREADS: list[str] = []


class Paints(State):
    paints = Collection(Paint, primary_key="color")


@pytest.fixture
def actor(types: Registry) -> Acting:
    """Somebody who keeps paints."""
    return Acting(types, state=Paints)


async def test_what_the_model_takes_is_written_changed_and_read(actor: Acting) -> None:
    async def use(ctx: Any) -> Any:
        paints = ctx.state.paints
        await paints.insert(Paint(color=Color.RED, due_date=date(2026, 1, 2)))
        await paints.update(Color.RED, row=3, due_date=date(2026, 1, 3))
        await paints.update("red", {"expect_version": 5}, change=2.5)
        await paints.update("red", lambda row: {**row, "price": Decimal("2.25")})
        await paints.upsert((await paints.get(Color.RED)).model_copy(update={"tags": ["dry"]}))
        assert await paints.filter(due_date=date(2026, 1, 3)) == [await paints.get("red")]
        return dict(await paints.row(Color.RED))

    assert await actor.do(use) == {
        "color": "red", "dueDate": "2026-01-03", "price": "2.25", "row": 3, "change": 2.5,
        "expect_version": 5, "tags": ["dry"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"due_date": "soon"}, "paints, dueDate: Input should be a valid date"),
        ({"row": "3"}, "paints, row: '3' is not of type 'integer'"),
        ({"change": float("nan")}, "paints, change: nan is no number"),
        ({"colour": 1}, "colour"),
    ],
)
async def test_what_is_wrong_changes_nothing(actor: Acting, fields: dict[str, Any], why: str) -> None:
    async def use(ctx: Any) -> Any:
        paints = ctx.state.paints
        await paints.insert(color=Color.RED, due_date=date(2026, 1, 2))
        before = await paints.row("red")
        for change in (fields, lambda row: {**row, **ctx.state.paints.spec.named(fields)}):
            with pytest.raises(InvalidRow, match=why):
                await paints.update("red", change)
        assert (await paints.row("red")).version == before.version
        await paints.delete(Color.RED)
        with pytest.raises(InvalidRow, match=why):
            await paints.insert({"color": Color.RED, "due_date": date(2026, 1, 2), **fields})
        return await paints.count()

    assert await actor.do(use) == 0


async def test_a_models_validators_never_run_in_the_writer(actor: Acting) -> None:
    THREADS.clear()

    async def use(ctx: Any) -> None:
        await ctx.state.paints.insert(color=Color.RED, due_date=date(2026, 1, 2))
        await ctx.state.paints.update("red", row=1)

    assert await actor.do(use) is None
    assert THREADS
    assert not [name for name in THREADS if "writer" in name]


async def test_arguments_and_messages_go_the_same_way(types: Registry) -> None:
    @types.define("painter", creation_schema=Paint, inbox_schemas={"paint": Paint})
    async def painter(ctx: Any, wake: Any) -> None:
        pass

    found = types.get("painter")
    given: dict[str, Any] = {"color": Color.RED, "due_date": date(2026, 1, 2), "price": Decimal("2.25")}
    fit = {
        "color": "red", "dueDate": "2026-01-02", "price": "2.25", "row": 0, "change": 0.0,
        "expect_version": 0, "tags": [],
    }  # fmt: skip

    assert found.checked_args(given) == found.checked_args(fit) == fit
    assert found.checked_message("paint", given) == found.checked_message("paint", Paint(**given)) == fit
    with pytest.raises(InvalidInput, match="arguments of painter, change: nan is no number"):
        found.checked_args({**given, "change": float("nan")})
    with pytest.raises(InvalidInput, match="message paint, due_date: Input should be a valid date"):
        found.checked_message("paint", {**given, "due_date": "soon"})
