"""Shared states and other entities: made once, connected to with the schema they have, read and observed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from entities.api import (
    Change,
    Collection,
    InvalidInput,
    RunFinished,
    SharedStateSchema,
    VersionConflict,
    db,
    entity,
)
from entities.models import Subscription
from entities.testing.runtime import events, look, quiet, rows, spawn, texts, values, wakes, working
from entities.types.registry import Registry
from shared_state.api import (
    Provenance,
    SchemaMismatch,
    StreamExists,
    StreamNotFound,
    get_stream,
    submit,
)
from shared_state.models import Stream
from tests.support.acting import Acting


class Argument(BaseModel):
    """A row."""

    key: str
    text: str = ""
    round: int = 1


class Other(BaseModel):
    """A row of another shape."""

    key: str
    text: int


SCHEMA = SharedStateSchema(arguments=Collection(Argument, type="shared:argument"))
MANY = SharedStateSchema(arguments=Collection(Argument, type="shared:argument"), notes=Collection(Argument))


@pytest.fixture
def actor(types: Registry) -> Acting:
    """Somebody who does what the test says."""
    return Acting(types)


async def make(ctx: Any) -> Any:
    """Make the shared state."""
    return await ctx.mkdb("board", SCHEMA)


async def test_a_shared_state_is_made_once(actor: Acting) -> None:
    await actor.do(make)

    error = await actor.do(make)

    assert isinstance(error, StreamExists)


async def test_what_was_not_made_cannot_be_observed(actor: Acting) -> None:
    error = await actor.do(lambda ctx: ctx.observe(db("nowhere", SCHEMA)))

    assert isinstance(error, StreamNotFound)
    assert "mkdb makes one" in str(error)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (SharedStateSchema(arguments=Collection(Other, type="shared:argument")), "another schema of"),
        (SharedStateSchema(arguments=Collection(Argument, type="shared:claim")), "another event type"),
        (SharedStateSchema(argument=Collection(Argument, type="shared:argument")), "has no collection"),
    ],
)
async def test_a_schema_that_disagrees_is_refused_and_says_how(
    actor: Acting, wrong: SharedStateSchema, why: str
) -> None:
    await actor.do(make)

    error = await actor.do(lambda ctx: ctx.observe(db("board", wrong)))

    assert isinstance(error, SchemaMismatch)
    assert why in str(error)


async def test_a_part_of_the_schema_is_enough(actor: Acting) -> None:
    await actor.do(lambda ctx: ctx.mkdb("board", MANY))

    shared = await actor.do(lambda ctx: ctx.observe(db("board", SCHEMA)))

    assert list(shared) == ["arguments"]


async def test_without_a_schema_the_stored_one_holds(actor: Acting) -> None:
    await actor.do(make)

    shared = await actor.do(lambda ctx: ctx.observe(db("board")))

    assert list(shared) == ["arguments"]
    assert shared.arguments.spec.json_schema["properties"]["round"]["type"] == "integer"


async def test_a_schema_travels_as_json(actor: Acting) -> None:
    await actor.do(make)

    shared = await actor.do(lambda ctx: ctx.observe(db("board", SCHEMA.to_json())))

    assert list(shared) == ["arguments"]


async def test_a_collection_that_is_not_there_is_named(actor: Acting) -> None:
    async def misspell(ctx: Any) -> Any:
        shared = await ctx.mkdb("board", SCHEMA)
        return shared.argumets

    error = await actor.do(misspell)
    assert str(error) == "shared state board has no collection 'argumets'; it has arguments."


async def test_two_entities_read_and_write_one_state(types: Registry, actor: Acting) -> None:
    other = Acting(types, "other")

    async def write(ctx: Any) -> Any:
        shared = await ctx.mkdb("board", SCHEMA)
        return await shared.arguments.insert(key="a1", text="first")

    async def answer(ctx: Any) -> Any:
        shared = await ctx.observe(db("board", SCHEMA))
        await shared.arguments.insert(key="a2", text="second", round=2)
        await shared.arguments.update("a1", text="first, improved")
        return await shared.arguments.all()

    await actor.do(write)
    found = await other.do(answer)

    assert [(row["key"], row["text"]) for row in found] == [("a1", "first, improved"), ("a2", "second")]
    assert [row.writer for row in found] == [f"agent:{other.url}"] * 2
    inserted, *_ = await events("shared:board")
    assert inserted.provenance.writer == f"agent:{actor.url}"


async def test_the_same_change_by_two_entities_is_two_changes(types: Registry, actor: Acting) -> None:
    """Both are in their first wake; what one did must not pass for a repetition of what the other does."""
    await actor.do(make)
    one, two = Acting(types, "one"), Acting(types, "two")

    def write(by: str) -> Any:
        async def change(ctx: Any) -> Any:
            shared = await ctx.observe(db("board"))
            await shared.arguments.upsert(key="a1", text=by)
            row = await shared.arguments.update("a1", lambda row: row | {"text": f"{row['text']}!"})
            return row["text"], row.writer

        return change

    assert await one.do(write("one")) == ("one!", f"agent:{one.url}")
    assert await two.do(write("two")) == ("two!", f"agent:{two.url}")
    (row,) = await values("shared:board", "shared:argument")
    assert row["text"] == "two!"


async def test_a_change_to_an_outdated_row_is_refused_and_carries_the_current_one(actor: Acting) -> None:
    async def conflict(ctx: Any) -> Any:
        shared = await ctx.mkdb("board", SCHEMA)
        row = await shared.arguments.insert(key="a1", text="one")
        await shared.arguments.update("a1", text="two")
        await shared.arguments.update("a1", text="three", expect_version=row.version)

    error = await actor.do(conflict)
    assert isinstance(error, VersionConflict)
    assert error.current == {"key": "a1", "text": "two", "round": 1}


async def test_observing_again_changes_nothing(actor: Acting) -> None:
    await actor.do(make)
    await actor.do(lambda ctx: ctx.observe(db("board"), wake=Change(debounce=5)))
    before = len(await events(actor.url, "manifest"))

    await actor.do(lambda ctx: ctx.observe(db("board"), wake=Change(debounce=5)))

    assert len(await events(actor.url, "manifest")) == before
    assert await look(Subscription.objects.count) == 1


async def test_observing_the_same_rows_anew_replaces_the_times(actor: Acting) -> None:
    await actor.do(make)
    await actor.do(lambda ctx: ctx.observe(db("board"), wake=Change(ops=["update", "insert"], debounce=5)))

    await actor.do(lambda ctx: ctx.observe(db("board"), wake=Change(ops=["insert", "update"], timeout=9)))

    (subscription,) = await look(lambda: list(Subscription.objects.all()))
    assert (subscription.debounce_ms, subscription.timeout_ms) == (0, 9000)


async def test_a_condition_on_an_unknown_collection_is_refused(actor: Acting) -> None:
    await actor.do(make)

    error = await actor.do(lambda ctx: ctx.observe(db("board"), wake=Change(collections=["votes"])))

    assert isinstance(error, InvalidInput)
    assert "no collection votes" in str(error)

    error = await actor.do(lambda ctx: ctx.observe(db("board"), wake=Change(ops=["upsert"])))

    assert isinstance(error, InvalidInput)
    assert "Nothing ever changes by upsert" in str(error)


async def test_another_entitys_rows_can_be_read(types: Registry, actor: Acting) -> None:
    other = Acting(types, "other")
    await other.do(lambda ctx: ctx.state.mine.insert(key="k", value=1))

    async def read(ctx: Any) -> Any:
        handle = await ctx.observe(entity(other.url))
        return (
            await handle.db.collections.mine.all(),
            await handle.status(),
            len(await handle.db.collections.inbox.all()),
        )

    assert await actor.do(read) == ([{"key": "k", "value": 1}], "idle", 1)


async def test_somebody_elses_run_can_be_waited_for(types: Registry, actor: Acting) -> None:
    other = Acting(types, "other")
    await other.do(lambda ctx: ctx.reply_text("before"))
    await actor.do(lambda ctx: ctx.observe(entity(other.url), wake=RunFinished()))

    await other.do(lambda ctx: ctx.reply_text("after"))

    (report,) = actor.reports
    assert report["finished_child"]["response"] == "after"


async def test_a_report_can_be_had_without_the_response(types: Registry, actor: Acting) -> None:
    other = Acting(types, "other")
    await other.do(lambda ctx: ctx.reply_text("before"))
    await actor.do(lambda ctx: ctx.observe(entity(other.url), wake=RunFinished(include_response=False)))

    await other.do(lambda ctx: ctx.reply_text("after"))

    (report,) = actor.reports
    assert report["finished_child"].get("response") is None


async def test_work_without_a_model_is_a_run_like_any_other(actor: Acting) -> None:
    async def work(ctx: Any) -> None:
        async with ctx.record_run() as run:
            run.attach_response("half")
            run.attach_response("done")

    await actor.do(work)

    (run,) = await values(actor.url, "run")
    assert (run["key"], run["status"], run["wake"]) == ("1.0", "completed", "w1")
    assert await texts(actor.url) == ["half", "done"]


async def test_recorded_work_that_raises_is_a_failed_run(types: Registry, actor: Acting) -> None:
    other = Acting(types, "other")

    async def fail(ctx: Any) -> None:
        async with ctx.record_run():
            raise ValueError("no paper")

    await other.do(lambda ctx: ctx.reply_text("hello"))
    await actor.do(lambda ctx: ctx.observe(entity(other.url), wake=RunFinished()))
    await other.do(fail)

    (report,) = actor.reports
    assert report["finished_child"]["run_status"] == "failed"
    assert report["finished_child"]["error"] == "ValueError: no paper"
    assert [error["message"] for error in await values(other.url, "error")] == ["ValueError: no paper"]


async def test_recorded_work_that_succeeds_in_the_end_is_a_completed_run(types: Registry) -> None:
    tries: list[int] = []

    @types.define("clumsy")
    async def clumsy(ctx: Any, wake: Any) -> None:
        tries.append(1)
        async with ctx.record_run() as run:
            if len(tries) == 1:
                raise ValueError("no paper")
            run.attach_response("Here it is.")
        if len(tries) == 2:
            raise ValueError("after the end of it")

    url = await spawn("clumsy", message="write")
    async with working() as worker:
        await quiet(worker)

    assert len(tries) == 3
    (run,) = await values(url, "run")
    assert (run["status"], await texts(url)) == ("completed", ["Here it is."])
    ends = [e.value["status"] for e in await events(url, "run") if e.value["status"] != "started"]
    assert ends == ["failed", "completed"]


async def test_who_is_deleted_observes_nothing_any_more(types: Registry, actor: Acting) -> None:
    """Appends to what somebody observes cost more: the mark goes with the last subscription."""
    star, fan = Acting(types, "star"), Acting(types, "fan")
    await star.do(lambda ctx: ctx.reply_text("hello"))
    for observer in (actor, fan):
        await observer.do(lambda ctx: ctx.observe(entity(star.url), wake=RunFinished()))
    observed = []

    for observer in (actor, fan):
        await look(lambda url=observer.url: Stream.objects.get(path=url).delete())
        observed.append((await look(get_stream, star.url)).observed)

    assert observed == [True, False]


async def test_what_a_project_marked_as_observed_stays_so(actor: Acting) -> None:
    """Who subscribed to nothing takes no mark away."""
    await actor.do(make)
    board = await look(get_stream, "shared:board")
    await submit(
        lambda unit: unit.change_stream(board.id, observed=True), provenance=Provenance("system:project")
    )

    other = await spawn("actor")
    await look(lambda: Stream.objects.get(path=other).delete())

    assert (await look(get_stream, "shared:board")).observed


async def test_nobody_else_is_silenced_by_one_who_looks_away(types: Registry, actor: Acting) -> None:
    """Two observers of one entity: the registration of one is not the other's."""
    star, fan = Acting(types, "star"), Acting(types, "fan")
    await star.do(lambda ctx: ctx.reply_text("hello"))
    for observer in (actor, fan):
        await observer.do(lambda ctx: ctx.observe(entity(star.url), wake=RunFinished()))
    await actor.do(lambda ctx: ctx.unobserve(entity(star.url)))

    await star.do(lambda ctx: ctx.reply_text("again"))

    assert await wakes(actor.url, reason="run_finished") == []
    assert len(await wakes(fan.url, reason="run_finished")) == 1
    assert not [row for row in await rows(actor.url, "manifest") if row.key == f"source:{star.url}"]
