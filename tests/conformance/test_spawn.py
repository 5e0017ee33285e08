"""Making entities: by people and by entities; once, validated, with an owner and a place in the family."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, Field, model_validator

from entities import api
from entities.api import EntityExists, EntityNotFound, InvalidInput, NewEntity, RunFinished, UnknownType
from entities.models import Entity, Subscription
from entities.testing.runtime import (
    ADA,
    CLEO,
    entity,
    events,
    expire,
    handle_all,
    handle_next,
    look,
    recover,
    rows,
    said_to,
    spawn,
    tell,
    values,
)
from entities.types.registry import Registry
from shared_state.api import get_stream
from tests.support.killing import Killed


class ChildArgs(BaseModel):
    """What a child is told."""

    name: str = Field(min_length=2)
    age: int = 7


@pytest.fixture(autouse=True)
def child(types: Registry) -> None:
    """A type with arguments."""

    @types.define("child", creation_schema=ChildArgs)
    async def child(ctx: Any, wake: Any) -> None:
        await ctx.reply_text(f"I am {ctx.args['name']}, {ctx.args['age']}")


async def test_the_first_event_says_what_was_made_by_whom() -> None:
    await spawn("child", "tim", args={"name": "Tim"}, message="hello")

    first, second = (await events("/child/tim"))[:2]
    assert (first.offset, first.type) == (1, "entity_created")
    assert first.value["args"] == {"name": "Tim", "age": 7}
    assert (first.value["created_by"], first.value["parent_url"]) == ("user:ada", None)
    assert (second.type, second.value["payload"]) == ("inbox", "hello")


async def test_arguments_are_checked_and_nothing_is_made_if_they_are_wrong() -> None:
    with pytest.raises(InvalidInput, match=r"arguments of child, name: 'T' is too short"):
        await spawn("child", "tim", args={"name": "T"})
    with pytest.raises(InvalidInput, match="'name' is a required property"):
        await spawn("child", "tim")

    assert not await look(Entity.objects.exists)


async def test_a_models_own_rules_are_kept_as_well(types: Registry) -> None:
    """JSON Schema cannot say them; a handler that reads its arguments would fail for ever."""

    class Meeting(BaseModel):
        begins: date
        ends: date

        @model_validator(mode="after")
        def _in_order(self) -> Meeting:
            if self.ends < self.begins:
                raise ValueError("it ends before it begins")
            return self

    @types.define("meeting", creation_schema=Meeting, inbox_schemas={"move": Meeting})
    async def meeting(ctx: Any, wake: Any) -> None:
        pass

    good, odd = {"begins": "2026-11-21", "ends": "2026-11-22"}, {"begins": "today", "ends": "2026-11-22"}
    wrong = {"begins": "2026-11-22", "ends": "2026-11-21"}
    with pytest.raises(InvalidInput, match=r"^arguments of meeting: it ends before it begins$"):
        await spawn("meeting", "one", args=wrong)
    with pytest.raises(InvalidInput, match=r"^arguments of meeting, begins: Input should be a valid date"):
        await spawn("meeting", "one", args=odd)
    url = await spawn("meeting", "one", args=good)
    assert (await entity(url)).args == good

    with pytest.raises(InvalidInput, match=r"^message move: it ends before it begins$"):
        await tell(url, wrong, message_type="move")
    await tell(url, good, message_type="move")
    assert await said_to(url) == [good]


async def test_a_message_is_checked_by_its_kind(types: Registry) -> None:
    @types.define("tracker", inbox_schemas={"add": ChildArgs})
    async def tracker(ctx: Any, wake: Any) -> None:
        pass

    url = await spawn("tracker")
    with pytest.raises(InvalidInput, match=r"message add, name: 'T' is too short"):
        await tell(url, {"name": "T"}, message_type="add")
    await tell(url, {"name": "Tim"}, message_type="add")
    await tell(url, "anything")

    assert await said_to(url) == [{"name": "Tim", "age": 7}, "anything"]
    assert [value["message_type"] for value in await values(url, "inbox")] == ["add", None]


async def test_an_unknown_type_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UnknownType, match=r"no type 'chid'; there are .*assistant.*child"):
        await spawn("chid", "tim")


@pytest.mark.parametrize("slug", ["", "-x", "a/b", "a b", "ä", "x" * 129, "../x"])
async def test_an_id_must_fit_into_an_address(slug: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be an id"):
        await api.spawn(ADA, NewEntity("child", slug, {"name": "Tim"}))


async def test_an_address_that_is_taken_is_refused() -> None:
    await spawn("child", "tim", args={"name": "Tim"})

    with pytest.raises(EntityExists, match="/child/tim already"):
        await spawn("child", "tim", args={"name": "Tom"})


async def test_of_many_at_once_exactly_one_wins_and_nobody_gets_another_error() -> None:
    new = NewEntity("child", "tim", {"name": "Tim"}, "hello")
    outcomes = await asyncio.gather(*(api.spawn(ADA, new) for _ in range(20)), return_exceptions=True)

    made = [outcome for outcome in outcomes if isinstance(outcome, Entity)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, EntityExists)]
    assert (len(made), len(refused)) == (1, 19)
    assert await said_to("/child/tim") == ["hello"]


async def test_different_ids_at_once_all_succeed() -> None:
    spawned = await asyncio.gather(
        *(api.spawn(ADA, NewEntity("child", f"t{number}", {"name": "Tim"})) for number in range(20))
    )

    assert len({made.url for made in spawned}) == 20


async def test_an_alias_makes_the_real_thing() -> None:
    assert await spawn("horton", "h") == "/assistant/h"
    assert (await entity("/assistant/h")).type == "assistant"


async def test_an_entity_nobody_may_read_is_not_there_for_them() -> None:
    await spawn("child", "tim", args={"name": "Tim"})

    with pytest.raises(EntityNotFound):
        await tell_as_cleo("/child/tim")
    with pytest.raises(EntityNotFound):
        await tell_as_cleo("/child/nobody")
    assert await said_to("/child/tim") == []


async def tell_as_cleo(url: str) -> None:
    """Cleo sends a message."""
    await api.deliver(CLEO, url, "let me in")


# -- by a parent


@pytest.fixture
def parent(types: Registry) -> list[BaseException]:
    """A parent that makes a child with the arguments it is sent; returns what that raised."""
    raised: list[BaseException] = []

    @types.define("parent")
    async def parent(ctx: Any, wake: Any) -> None:
        try:
            await ctx.spawn("child", "tim", wake.payload, initial_message="hello", wake=RunFinished())
        except api.EntitiesError as error:
            raised.append(error)

    return raised


async def test_a_child_belongs_to_its_parents_owner_and_family(parent: list[BaseException]) -> None:
    url = await spawn("parent", message={"name": "Tim"})
    await handle_all()

    made = await entity("/child/tim")
    stream = await look(get_stream, "/child/tim")
    assert (made.owner, made.created_by) == ("user:ada", f"agent:{url}")
    assert made.parent is not None
    assert made.parent.url == url
    assert stream.root == (await entity(url)).stream_id


async def test_the_parent_keeps_its_child_in_its_manifest_and_status_list(
    parent: list[BaseException],
) -> None:
    url = await spawn("parent", message={"name": "Tim"})
    await handle_all()

    (manifest,) = await values(url, "manifest")
    assert (manifest["kind"], manifest["url"], manifest["entity_type"]) == ("child", "/child/tim", "child")
    (status,) = await values(url, "child_status")
    assert (status["entity_url"], status["status"]) == ("/child/tim", "idle")


async def test_a_childs_arguments_are_checked_too(parent: list[BaseException]) -> None:
    await spawn("parent", message={"name": "T"})
    await handle_all()

    assert [str(error) for error in parent] == ["arguments of child, name: 'T' is too short"]
    assert not await look(Entity.objects.filter(type="child").exists)


async def test_an_existing_address_is_an_error_for_a_parent_too(parent: list[BaseException]) -> None:
    await spawn("child", "tim", args={"name": "Tim"})
    await spawn("parent", message={"name": "Tim"})
    await handle_all()

    assert [type(error) for error in parent] == [EntityExists]


async def test_a_second_wake_cannot_make_the_same_child_again(parent: list[BaseException]) -> None:
    url = await spawn("parent", message={"name": "Tim"})
    await handle_all()
    await tell(url, {"name": "Tom"})
    await handle_all()

    # The second wake is the child's report, with a payload that is not arguments either.
    assert {type(error) for error in parent} <= {EntityExists, InvalidInput}
    assert any(isinstance(error, EntityExists) for error in parent)
    assert (await entity("/child/tim")).args["name"] == "Tim"


async def test_a_wake_that_is_repeated_finds_the_child_it_made(types: Registry) -> None:
    """A crash after the spawn: the same wake does it again, and gets the same child, once."""
    handles: list[str] = []

    @types.define("parent")
    async def parent(ctx: Any, wake: Any) -> None:
        child = await ctx.spawn("child", "tim", {"name": "Tim"}, initial_message="hello", wake=RunFinished())
        handles.append(child.entity_url)
        if len(handles) == 1:
            raise Killed

    url = await spawn("parent", message="go")
    with pytest.raises(Killed):
        await handle_next()
    await expire(url)
    await recover()
    await handle_next("heir")

    assert handles == ["/child/tim", "/child/tim"]
    assert await said_to("/child/tim") == ["hello"]
    assert len(await rows(url, "manifest")) == 1
    assert await look(Subscription.objects.count) == 1


async def test_long_addresses_of_parent_and_child_are_fine(types: Registry) -> None:
    slug = "x" * 128

    @types.define("parent")
    async def parent(ctx: Any, wake: Any) -> None:
        await ctx.spawn("child", slug, {"name": "Tim"}, initial_message="hello")
        await ctx.send(f"/child/{slug}", "again")
        await ctx.send(f"/child/{slug}", "and again")

    await spawn("parent", slug, message="go")
    await handle_all()

    assert await said_to(f"/child/{slug}") == ["hello", "again", "and again"]


async def test_a_child_gets_title_and_tags(types: Registry) -> None:
    @types.define("parent")
    async def parent(ctx: Any, wake: Any) -> None:
        await ctx.spawn("child", "tim", {"name": "Tim"}, title="Little Tim", tags={"colour": "blue"})

    await spawn("parent", message="go")
    await handle_all()

    made = await entity("/child/tim")
    assert (made.title, made.tags["colour"]) == ("Little Tim", "blue")
    assert {row.key: row.value["value"] for row in await rows("/child/tim", "tags")} == {
        "title": "Little Tim",
        "colour": "blue",
    }


async def test_an_entity_reaches_only_what_its_owner_may(types: Registry) -> None:
    refused: list[str] = []

    @types.define("spy")
    async def spy(ctx: Any, wake: Any) -> None:
        for attempt in (ctx.send("/child/tim", "psst"), ctx.observe(api.entity("/child/tim"))):
            try:
                await attempt
            except EntityNotFound as error:
                refused.append(str(error))

    await spawn("child", "tim", args={"name": "Tim"})
    await api.spawn(CLEO, NewEntity("spy", "s", None, "go"))
    await handle_all()

    assert refused == ["There is no agent at /child/tim."] * 2
    assert await said_to("/child/tim") == []


async def test_more_are_made_at_once_than_ids_are_taken_at_once() -> None:
    wanted = [NewEntity("child", f"c{n}", args={"name": "Tim"}, title=f"Tim {n}") for n in range(150)]
    made = await asyncio.gather(*(api.spawn(ADA, one) for one in wanted))
    assert len({one.pk for one in made}) == len({one.stream_id for one in made}) == len(wanted)
    assert [one.value["value"] for one in await events(made[-1].url) if one.type == "tags"] == ["Tim 149"]
