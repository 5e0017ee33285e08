"""What cannot be stored, or be a name, is refused in our own words, naming the field; nothing breaks."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from entities.api import (
    Change,
    Collection,
    EntityNotFound,
    InvalidInput,
    InvalidRow,
    SchemaError,
    SharedStateSchema,
    db,
    entity,
)
from entities.testing.runtime import handle_all, look
from entities.types.registry import Registry
from shared_state.models import RowRecord
from tests.support.acting import Acting

Act = Callable[[Any], Any]
NAN = math.nan
WORD: Any = "1"


def deep(levels: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.fixture
def actor(types: Registry) -> Acting:
    @types.define("other")
    async def other(ctx: Any, wake: Any) -> None:
        pass

    return Acting(types)


@pytest.mark.parametrize("name", ["row", "self", "fields", "change", "client_key", "unit"])
async def test_a_field_may_be_called_like_a_parameter(actor: Acting, name: str) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.state.mine.insert(key="a", **{name: 1})
        await ctx.state.mine.upsert(key="b", **{name: 1})
        await ctx.state.mine.update("b", **{name: 2})
        return await ctx.state.mine.filter(**{name: 2}), await ctx.state.mine.get("a")

    found, first = await actor.do(act)
    assert (found, first) == ([{"key": "b", name: 2}], {"key": "a", name: 1})


ROWS: dict[str, tuple[Act, str]] = {
    "a list": (lambda ctx: ctx.state.mine.insert([1]), "mine: a row is an object of fields, not list."),
    "pairs": (lambda ctx: ctx.state.mine.upsert([("key", "a")]), "not list"),
    "a text": (lambda ctx: ctx.state.mine.insert("abc"), "not str"),
    "a list of changes": (lambda ctx: ctx.state.mine.update("z", [1]), "not list"),
    "a function to a list": (lambda ctx: ctx.state.mine.update("z", lambda row: [1]), "not list"),
    "nan": (lambda ctx: ctx.state.mine.insert(key="a", n=NAN), "mine, n: nan is no number that JSON"),
    "nan in an update": (lambda ctx: ctx.state.mine.update("z", n=NAN), "mine, n: nan"),
    "nan by a function": (lambda ctx: ctx.state.mine.update("z", lambda row: {**row, "n": NAN}), "mine, n:"),
    "infinity": (lambda ctx: ctx.state.mine.upsert(key="a", n={"x": [None, -math.inf]}), "mine, n.x.1: -inf"),
    "65 bits": (lambda ctx: ctx.state.mine.insert(key="a", n=2**64), "mine, n: an integer of 65 bits"),
    "5,000 digits": (
        lambda ctx: ctx.state.mine.insert(key="a", n=10**5000),
        "mine, n: an integer of",
    ),
    "half a pair": (lambda ctx: ctx.state.mine.insert(key="a", n="\ud800"), "mine, n: a NUL or half"),
    "NUL": (lambda ctx: ctx.state.mine.insert(key="a", n="\0"), "mine, n: a NUL"),
    "half a pair as a name": (
        lambda ctx: ctx.state.mine.insert({"key": "a", "\ud800": 2}),
        "cannot be stored",
    ),
    "depth": (lambda ctx: ctx.state.mine.insert(key="a", n=deep(400)), "nested more than"),
    "half a pair as a key": (lambda ctx: ctx.state.mine.insert(key="\ud800"), "mine, key: a"),
    "a long number as a key": (lambda ctx: ctx.state.mine.insert(key=10**5000), "mine, key: an integer of"),
    "a key to update": (lambda ctx: ctx.state.mine.update("\ud800", n=1), "mine, key: a"),
    "a key to delete": (lambda ctx: ctx.state.mine.delete("\0"), "mine, key: a"),
}


@pytest.mark.parametrize("what", list(ROWS))
async def test_a_row_that_cannot_be_stored_is_refused_with_its_field(actor: Acting, what: str) -> None:
    act, why = ROWS[what]
    await actor.do(lambda ctx: ctx.state.mine.insert(key="z"))

    error = await actor.do(act)

    assert isinstance(error, InvalidRow)
    assert why in str(error)
    assert await look(lambda: [row.value for row in RowRecord.objects.filter(type="state:mine")]) == [
        {"key": "z"}
    ]


SAID: dict[str, tuple[Act, str]] = {
    "a message": (lambda ctx: ctx.send(ctx.entity_url, {"n": [NAN]}), "n.0: nan"),
    "a message later": (lambda ctx: ctx.send(ctx.entity_url, NAN, after=timedelta(1)), "nan"),
    "its type": (lambda ctx: ctx.send(ctx.entity_url, "x", type="a\n"), "a message's type"),
    "no delay": (lambda ctx: ctx.send(ctx.entity_url, "x", after=5), "after: a timedelta"),
    "a long delay": (lambda ctx: ctx.send(ctx.entity_url, "x", after=timedelta.max), "ten years"),
    "arguments": (lambda ctx: ctx.spawn("other", "x", {"n": NAN}), "arguments of other, n: nan"),
    "a list of arguments": (lambda ctx: ctx.spawn("other", "x", [1]), "an object of fields, not list"),
    "an id": (lambda ctx: ctx.spawn("other", "x\n"), "cannot be an id"),
    "a number as an id": (lambda ctx: ctx.spawn("other", 5), "cannot be an id"),
    "a tag": (lambda ctx: ctx.spawn("other", "x", tags={"a\n": "b"}), "the name of a tag"),
    "a tag's value": (lambda ctx: ctx.spawn("other", "x", tags={"a": "\ud800"}), "tag 'a'"),
    "a title": (lambda ctx: ctx.spawn("other", "x", title="a\0"), "cannot be a title"),
    "a tag later": (lambda ctx: ctx.set_tag("a\n", "b"), "the name of a tag"),
    "a shared state": (lambda ctx: ctx.mkdb("m\n", SharedStateSchema(a=Collection())), "shared state's id"),
    "an endless wait": (
        lambda ctx: ctx.observe(entity(ctx.entity_url), wake=Change(timeout=math.inf)),
        "ten",
    ),
    "no wait": (lambda ctx: ctx.observe(entity(ctx.entity_url), wake=Change(debounce=NAN)), "at most"),
    "no time": (lambda ctx: ctx.observe(entity(ctx.entity_url), wake=Change(debounce=WORD)), "is no time"),
    "no source": (lambda ctx: ctx.observe("/other/x"), "is no source"),
}


@pytest.mark.parametrize("what", list(SAID))
async def test_what_cannot_be_said_is_refused_with_its_place(actor: Acting, what: str) -> None:
    act, why = SAID[what]

    error = await actor.do(act)

    assert isinstance(error, InvalidInput)
    assert why in str(error)
    assert await handle_all() == 0


@pytest.mark.parametrize("url", ["/other/x\n", "/other/\0", "/other/\ud800", 5])
async def test_an_address_that_can_be_nobodys_is_nobodys(actor: Acting, url: Any) -> None:
    for act in (lambda ctx: ctx.send(url, "x"), lambda ctx: ctx.observe(entity(url))):
        assert isinstance(await actor.do(act), EntityNotFound)


@pytest.mark.parametrize("name", ["a\n", " a", "a\0", "\ud800", ""])
def test_names_of_collections_are_matched_as_a_whole(name: str) -> None:
    for schema in ({name: {"type": "shared:a"}}, {"a": {"type": name}}):
        with pytest.raises(SchemaError):
            SharedStateSchema.from_json(schema)


@pytest.mark.parametrize("name", ["a\n", "a b", "a\r", "A"])
def test_names_of_types_are_matched_as_a_whole(types: Registry, name: str) -> None:
    with pytest.raises(Exception, match="cannot be a type's name"):
        types.define(name)


async def test_a_wait_of_a_month_is_kept(actor: Acting) -> None:
    async def act(ctx: Any) -> Any:
        await ctx.mkdb("m", SharedStateSchema(a=Collection()))
        return await ctx.observe(db("m"), wake=Change(timeout=timedelta(days=60)))

    assert not isinstance(await actor.do(act), Exception)
