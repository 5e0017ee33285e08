"""A key that comes again: the same content is a repeat, other content is refused, everywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field

from entities.api import Collection, KeyReused, SharedStateSchema, deliver
from entities.lifecycle.spawn import SpawnRequest, spawning
from entities.models import Timer
from entities.testing.runtime import (
    entity,
    expire,
    handle_all,
    handle_next,
    look,
    recover,
    said_to,
    spawn,
    values,
    wakes,
)
from entities.types.registry import Registry
from shared_state.api import (
    CollectionSpec,
    Principal,
    Provenance,
    collection,
    get_stream,
    submit,
)
from shared_state.models import EventRecord
from tests.support.killing import Killed

ADA = Principal("user", "ada")
NOTES = CollectionSpec("notes", "state:notes")


@pytest.fixture
async def mailbox(types: Registry) -> str:
    """An agent that takes any message and does nothing."""

    @types.define("mailbox", state={"notes": Collection()})
    async def mailbox(ctx: Any, wake: Any) -> None:
        pass

    return await spawn("mailbox")


async def do(url: str, change: Callable[..., Any], *args: Any, key: str = "k", **options: Any) -> Any:
    """One change of a row by its client's key."""
    stream = await look(get_stream, url)

    def run(unit: Any) -> Any:
        return change(unit, stream.id, NOTES, *args, client_key=key, **options)

    return await submit(run, provenance=Provenance("user:ada"))


# -- messages


@pytest.mark.parametrize(
    ("payload", "again"),
    [
        ("a", "a"),
        ({"a": 1, "b": [None, True]}, {"b": [None, True], "a": 1.0}),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"at": datetime(2026, 1, 2, tzinfo=UTC)}),
        ([1e20, -0.0, 2**53], [1e20, 0, 2**53]),
        (("a", "b"), ["a", "b"]),
    ],
)
async def test_the_same_message_with_its_key_is_a_repeat(mailbox: str, payload: Any, again: Any) -> None:
    first = await deliver(ADA, mailbox, payload, key="k")
    second = await deliver(ADA, mailbox, again, key="k")

    assert (second.repeated, second.offset) == (True, first.offset)


@pytest.mark.parametrize(
    ("payload", "again"),
    [("a", "b"), ({"n": 1}, {"n": True}), ({"n": 0}, {"n": 0, "m": None}), ([1], [1, 1])],
)
async def test_another_message_with_the_same_key_is_refused_with_both(
    mailbox: str, payload: Any, again: Any
) -> None:
    await deliver(ADA, mailbox, payload, key="k")

    with pytest.raises(KeyReused, match="The message with key 'k' was sent before with other content"):
        await deliver(ADA, mailbox, again, key="k")

    assert await said_to(mailbox) == [payload]


async def test_the_same_words_as_another_type_of_message_are_refused(mailbox: str) -> None:
    await deliver(ADA, mailbox, "a", key="k")

    with pytest.raises(KeyReused):
        await deliver(ADA, mailbox, "a", key="k", message_type="order")


@pytest.mark.parametrize("pruned", [False, True])
async def test_it_is_told_as_well_once_the_message_was_handled_and_its_events_are_gone(
    mailbox: str, pruned: bool
) -> None:
    await deliver(ADA, mailbox, "a", key="k")
    await handle_all()
    if pruned:
        stream = await look(get_stream, mailbox)
        await look(EventRecord.objects.filter(stream=stream.id, type="inbox").delete)

    assert (await deliver(ADA, mailbox, "a", key="k")).repeated
    with pytest.raises(KeyReused):
        await deliver(ADA, mailbox, "b", key="k")


# -- rows


async def test_the_same_change_of_a_row_is_a_repeat(mailbox: str) -> None:
    row = {"key": "a", "n": 1, "at": datetime(2026, 1, 2, tzinfo=UTC)}
    for _ in range(2):
        await do(mailbox, collection.insert, row, key="i")
    for _ in range(2):
        await do(mailbox, collection.update, "a", {"n": 2}, key="u")
    for _ in range(2):
        await do(mailbox, collection.upsert, {"key": "a", "n": 3}, key="p")
    for _ in range(2):
        await do(mailbox, collection.delete, "a", key="d")

    stream = await look(get_stream, mailbox)
    found = EventRecord.objects.filter(stream=stream.id, type="state:notes").order_by("offset")
    done = await look(lambda: list(found.values_list("operation", flat=True)))
    assert done == ["insert", "update", "update", "delete"]


@pytest.mark.parametrize(
    ("change", "args"),
    [
        (collection.insert, [{"key": "a", "n": 2}]),
        (collection.insert, [{"key": "b", "n": 1}]),
        (collection.insert, [{"key": "a"}]),
        (collection.insert, [{"key": "a", "n": 1, "more": None}]),
        (collection.insert, [{"key": "a", "n": True}]),
        (collection.upsert, [{"key": "a", "n": 2}]),
        (collection.update, ["a", {"n": 1}]),
        (collection.update, ["a", lambda row: None]),
        (collection.delete, ["a"]),
    ],
)
async def test_another_change_with_the_key_of_an_insert_is_refused(
    mailbox: str, change: Callable[..., Any], args: list[Any]
) -> None:
    await do(mailbox, collection.insert, {"key": "a", "n": 1})

    with pytest.raises(KeyReused):
        await do(mailbox, change, *args)

    assert await values(mailbox, "state:notes") == [{"key": "a", "n": 1}]


@pytest.mark.parametrize("args", [["a", {"n": 3}], ["a", {"m": 2}], ["b", {"n": 2}]])
async def test_another_update_with_its_key_is_refused(mailbox: str, args: list[Any]) -> None:
    for key in "ab":
        await do(mailbox, collection.insert, {"key": key, "n": 1}, key=f"i{key}")
    await do(mailbox, collection.update, "a", {"n": 2})

    with pytest.raises(KeyReused):
        await do(mailbox, collection.update, *args)


async def test_another_delete_with_its_key_is_refused(mailbox: str) -> None:
    for key in "ab":
        await do(mailbox, collection.insert, {"key": key}, key=f"i{key}")
    await do(mailbox, collection.delete, "a")

    with pytest.raises(KeyReused):
        await do(mailbox, collection.delete, "b")


# -- spawns


async def test_the_same_spawn_is_a_repeat_and_another_is_refused(mailbox: str) -> None:
    parts: dict[str, Any] = {
        "args": {"n": 1}, "message": {"say": "hello"}, "message_type": "order", "title": "One",
        "tags": {"colour": "red"},
    }  # fmt: skip

    async def make(**other: Any) -> str:
        asked = SpawnRequest("mailbox", "one", "user:ada", "user:ada", key="k", **{**parts, **other})
        return (await submit(spawning(asked), provenance=Provenance("user:ada"))).url

    assert await make() == await make() == "/mailbox/one"
    await handle_all()
    assert await make() == "/mailbox/one"
    others: tuple[dict[str, Any], ...] = (
        {"args": {"n": 2}}, {"args": None}, {"message": {"say": "bye"}}, {"message": None},
        {"message_type": ""}, {"title": "Two"}, {"tags": {"colour": "blue"}}, {"tags": {}},
        {"title": ""}, {"tags": {"colour": "red", "size": "1"}},
    )  # fmt: skip
    for other in others:
        with pytest.raises(KeyReused, match="with other content"):
            await make(**other)
    assert (await entity("/mailbox/one")).title == "One"
    assert await said_to("/mailbox/one") == [{"say": "hello"}]


# -- handlers


Wavering = Callable[[Any, int], Any]

SAME: dict[str, Wavering] = {
    "insert": lambda ctx, n: ctx.state.notes.insert(key="a", n=n),
    "upsert": lambda ctx, n: ctx.state.notes.upsert(key="a", n=n),
    "update": lambda ctx, n: ctx.state.notes.update("old", n=n),
    "send": lambda ctx, n: ctx.send("/mailbox/first", {"n": n}),
    "later": lambda ctx, n: ctx.send("/mailbox/first", {"n": n}, after=timedelta(hours=1)),
    "spawn": lambda ctx, n: ctx.spawn("mailbox", "child", {"n": n}),
    "greeting": lambda ctx, n: ctx.spawn("mailbox", "child", initial_message=f"number {n}"),
    "tag": lambda ctx, n: ctx.set_tag("colour", f"c{n}"),
    "mkdb": lambda ctx, n: ctx.mkdb("m", SharedStateSchema(**{f"rows{n}": Collection()})),
}


@pytest.mark.parametrize("what", sorted(SAME))
@pytest.mark.parametrize("wavers", [False, True])
async def test_a_handler_that_decides_otherwise_when_it_runs_again_is_told(
    types: Registry, mailbox: str, what: str, wavers: bool
) -> None:
    runs: list[Any] = []

    @types.define("wavering", state={"notes": Collection()})
    async def wavering(ctx: Any, wake: Any) -> None:
        first = not runs
        runs.append(None)
        if first and what == "update":
            await ctx.state.notes.insert(key="old", n=0)
        try:
            await SAME[what](ctx, 2 if wavers and not first else 1)
        except KeyReused as error:
            runs[-1] = error
        if first:
            raise Killed

    await spawn("mailbox", "first")
    url = await spawn("wavering", message="go")
    with pytest.raises(Killed):
        await handle_next()
    await expire(url)
    await recover()
    await handle_next("heir")

    assert len(runs) == 2
    assert isinstance(runs[1], KeyReused) == wavers
    assert await look(Timer.objects.count) == (what == "later")
    assert [wake.state for wake in await wakes(url)] == ["done"]


MADE = itertools.count()


class Order(BaseModel):
    article: str
    key: str = "o"
    number: int = Field(default_factory=lambda: next(MADE))


class GrownOrder(Order):
    colour: str = "red"


FILLED: dict[str, Callable[[Any, type[Order]], Any]] = {
    "insert": lambda ctx, model: ctx.state.orders.insert(article="ship"),
    "instance": lambda ctx, model: ctx.state.orders.upsert(model(article="ship")),
    "send": lambda ctx, model: ctx.send("/shop/first", {"article": "ship"}, type="order"),
    "later": lambda ctx, model: ctx.send(
        "/shop/first", {"article": "ship"}, type="order", after=timedelta(hours=1)
    ),
    "spawn": lambda ctx, model: ctx.spawn("shop", "child", {"article": "ship"}),
    "mkdb": lambda ctx, model: ctx.mkdb("m", SharedStateSchema(orders=Collection(model))),
}


@pytest.mark.parametrize("what", sorted(FILLED))
@pytest.mark.parametrize("model", [Order, GrownOrder])
async def test_what_defaults_filled_in_is_no_other_content_when_a_handler_runs_again(
    types: Registry, what: str, model: type[Order]
) -> None:
    """Ids and times are made anew each time, and a deployment between both runs may bring new fields."""
    runs: list[None] = []

    def defined(model: type[Order]) -> None:
        @types.define("shop", creation_schema=model, inbox_schemas={"order": model})
        async def shop(ctx: Any, wake: Any) -> None: ...

        @types.define("buyer", state={"orders": Collection(model)})
        async def buyer(ctx: Any, wake: Any) -> None:
            runs.append(None)
            await FILLED[what](ctx, model)
            if len(runs) == 1:
                raise Killed

    defined(Order)
    await spawn("shop", "first", args={"article": "x"})
    url = await spawn("buyer", message="go")
    with pytest.raises(Killed):
        await handle_next()
    defined(model)
    await expire(url)
    await recover()
    await handle_next("heir")

    assert len(runs) == 2
    assert [wake.state for wake in await wakes(url)] == ["done"]
