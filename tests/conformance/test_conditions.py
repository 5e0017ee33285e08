"""Conditions: several on one source, names that are built in elsewhere, own runs, and the longest wait."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from entities.api import Change, Collection, InvalidInput, RunFinished, SharedStateSchema, db, entity
from entities.models import Subscription, Wake
from entities.testing.runtime import handle_all, look, rows, spawn, tell, wakes
from entities.types.registry import Registry
from entities.wakes import wake as wake_module
from shared_state.api import Provenance, collection, get_stream, submit
from tests.support.acting import Acting

SCHEMA = SharedStateSchema(
    orders=Collection(),
    signals=Collection(),
    runs=Collection(type="run"),
    pieces=Collection(type="text_delta"),
    tags=Collection(),
)


async def write(name: str, key: str, operation: str = "insert", by: str = "user:ada") -> None:
    """Somebody changes the shared state `m`."""
    stream = await look(get_stream, "shared:m")
    spec = SCHEMA[name]

    def change(unit: Any) -> None:
        if operation == "delete":
            collection.delete(unit, stream.id, spec, key)
        else:
            collection.upsert(unit, stream.id, spec, {"key": key, "status": "completed"})

    await submit(change, provenance=Provenance(by))


def _last(found: Any) -> str:
    return str(found or "")


async def watching(types: Registry, *conditions: Change) -> tuple[str, list[set[str]]]:
    """An agent that observes `m` on all of these conditions; which collections each of its wakes named."""
    told: list[set[str]] = []

    @types.define("watcher")
    async def watcher(ctx: Any, wake: Any) -> None:
        if wake.type == "wake":
            told.append({change["collection"] for change in wake.payload["changes"]})
        elif wake.payload == "leave":
            await ctx.unobserve(db("m"))
        else:
            await ctx.mkdb("m", SCHEMA)
            for condition in conditions:
                await ctx.observe(db("m", SCHEMA), wake=condition)

    url = await spawn("watcher", message="go")
    await handle_all()
    return url, told


async def rest() -> int:
    """Handle what is due until nothing is. How many wakes that were; `TimeoutError` if it goes on."""
    async with asyncio.timeout(30):
        return await handle_all()


async def test_each_of_several_conditions_wakes(types: Registry) -> None:
    _, told = await watching(
        types, Change(collections=["orders"]), Change(collections=["signals"], ops=["delete"])
    )
    await write("orders", "a")
    await write("signals", "b")
    await rest()
    assert told == [{"orders"}]

    await write("signals", "b", "delete")
    await rest()
    assert told == [{"orders"}, {"signals"}]


async def test_conditions_on_the_same_rows_by_other_operations_stand_beside_each_other(
    types: Registry,
) -> None:
    await watching(types, Change(), Change(ops=["delete"]), Change(ops=["insert"]), Change(ops=["delete"]))

    found = await look(lambda: sorted(Subscription.objects.values_list("operations", flat=True), key=str))
    assert found in ([None, ["delete"], ["insert"]], [["delete"], ["insert"], None])


async def test_unobserving_ends_all_conditions_on_the_source(types: Registry) -> None:
    url, told = await watching(
        types, Change(collections=["orders"]), Change(collections=["tags"], timeout=60)
    )
    await tell(url, "leave")
    await handle_all()
    await write("orders", "a")

    assert await look(Subscription.objects.count) == 0
    assert await wakes(url, state="pending") == []
    assert told == []


@pytest.mark.parametrize("name", ["signals", "runs", "pieces", "tags"])
@pytest.mark.parametrize("narrowed", [True, False])
async def test_a_shared_collection_may_be_called_like_a_built_in_one(
    types: Registry, name: str, narrowed: bool
) -> None:
    _, told = await watching(types, Change(collections=[name]) if narrowed else Change())
    await write(name, "a")
    await rest()
    assert told == [{name}]


async def test_a_shared_state_has_no_runs_that_finish(types: Registry) -> None:
    actor = Acting(types)
    await actor.do(lambda ctx: ctx.mkdb("m", SCHEMA))

    error = await actor.do(lambda ctx: ctx.observe(db("m"), wake=RunFinished()))

    assert isinstance(error, InvalidInput)
    assert "has no runs" in str(error)


@pytest.mark.parametrize(
    "condition",
    [
        RunFinished(),
        Change(),
        Change(collections=["runs"]),
        Change(collections=["wakes"]),
        Change(collections=["inbox"]),
        Change(collections=["manifests", "child_status"]),
    ],
)
async def test_what_one_does_wakes_nobody_but_others(types: Registry, condition: Any) -> None:
    @types.define("child")
    async def child(ctx: Any, wake: Any) -> None:
        await ctx.reply_text("done")

    @types.define("selfish")
    async def selfish(ctx: Any, wake: Any) -> None:
        await ctx.observe(entity(ctx.entity_url), wake=condition)
        if wake.type == "inbox":
            await ctx.spawn("child", "one", initial_message="go", wake=RunFinished())
        await ctx.reply_text("again")

    url = await spawn("selfish", message="go")
    await rest()

    assert [each.reason for each in await wakes(url)] == ["inbox", "run_finished"]


async def test_what_others_write_into_ones_own_log_wakes(types: Registry) -> None:
    @types.define("mail")
    async def mail(ctx: Any, wake: Any) -> None:
        await ctx.observe(entity(ctx.entity_url), wake=Change(collections=["inbox"], ops=["insert"]))

    url = await spawn("mail", message="go")
    await rest()
    await tell(url, "news")
    await rest()

    assert [each.reason for each in await wakes(url)] == ["inbox", "inbox", "change"]


@pytest.mark.parametrize("size", [2, 3])
async def test_those_who_watch_each_other_in_a_ring_come_to_rest(types: Registry, size: int) -> None:
    @types.define("ring")
    async def ring(ctx: Any, wake: Any) -> None:
        number = int(ctx.entity_url.rpartition("/")[2].removeprefix("n"))
        await ctx.observe(entity(f"/ring/n{(number + 1) % size}"), wake=RunFinished())
        if wake.payload != "quietly":
            await ctx.reply_text("again")

    for number in range(size):
        await spawn("ring", f"n{number}")
    for number in range(size):
        await tell(f"/ring/n{number}", "quietly")
    await rest()
    await tell("/ring/n0", "go")

    assert await rest() == size
    (first, *_) = sorted(await rows(f"/ring/n{size - 1}", "wake"), key=lambda row: row.created)
    assert first.value["source"] == "/ring/n0"


async def test_changes_that_keep_coming_put_a_wake_off_to_ten_debounces_at_most(types: Registry) -> None:
    url, _ = await watching(types, Change(debounce=60))
    await write("orders", "a")
    (waiting,) = await wakes(url, reason="change")
    longest = timedelta(seconds=60 * wake_module.LONGEST_DEBOUNCES)
    assert waiting.changed_at is not None
    early = waiting.changed_at - longest + timedelta(seconds=1)  # as if they had kept coming since
    await look(Wake.objects.filter(pk=waiting.pk).update, changed_at=early)
    await write("orders", "b")

    (waiting,) = await wakes(url, reason="change")
    assert waiting.due_at == early + longest


@pytest.mark.parametrize("armed", [True, False])
async def test_the_timeout_is_the_longest_wait(types: Registry, armed: bool) -> None:
    url, _ = await watching(types, Change(debounce=60, timeout=90))
    if not armed:
        await look(Wake.objects.filter(reason="change").delete)
    await write("orders", "a")
    (waiting,) = await wakes(url, reason="change")
    await write("orders", "b")
    early = waiting.created_at - timedelta(seconds=80)
    await look(Wake.objects.filter(pk=waiting.pk).update, created_at=early, changed_at=early)
    await write("orders", "c")

    (waiting,) = await wakes(url, reason="change")
    assert waiting.due_at == early + timedelta(seconds=90)


async def test_a_timeout_shorter_than_the_debounce_wins(types: Registry) -> None:
    url, _ = await watching(types, Change(debounce=60, timeout=5))
    await look(Wake.objects.filter(reason="change").delete)
    await write("orders", "a")

    (waiting,) = await wakes(url, reason="change")
    assert waiting.due_at == waiting.created_at + timedelta(seconds=5)
