"""Wakes by changed rows: filtered, merged, debounced; with a timeout when nothing changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from entities.api import Change, Collection, SharedStateSchema, db, entity
from entities.models import Subscription, Wake
from entities.testing.runtime import (
    claim,
    expire,
    handle_all,
    look,
    quiet,
    recover,
    spawn,
    tell,
    until,
    wakes,
    working,
)
from entities.types.registry import Registry
from entities.wakes import wake as wake_module
from shared_state.api import Provenance, collection, get_stream, submit

SCHEMA = SharedStateSchema(notes=Collection(), marks=Collection())


@dataclass
class Watcher:
    """An entity that observes the shared state `board`, and what it was told."""

    url: str = ""
    payloads: list[dict[str, Any]] = field(default_factory=list)

    @property
    def keys(self) -> list[list[str]]:
        """The keys of the changes of each wake."""
        return [[change["key"] for change in payload["changes"]] for payload in self.payloads]


Watch = Callable[..., Any]


@pytest.fixture
def watch(types: Registry) -> Watch:
    """Make the board, and an entity that observes it on a condition."""

    async def make(condition: Change, *, writes_itself: bool = False) -> Watcher:
        watcher = Watcher()

        @types.define("maker")
        async def maker(ctx: Any, wake: Any) -> None:
            await ctx.mkdb("board", SCHEMA)

        @types.define("watcher", state={"seen": Collection()})
        async def watching(ctx: Any, wake: Any) -> None:
            shared = await ctx.observe(db("board", SCHEMA), wake=condition)
            if wake.type == "wake":
                watcher.payloads.append(wake.payload)
            if writes_itself:
                await shared.notes.upsert(key="own", text=f"written by wake {len(watcher.payloads)}")

        await spawn("maker", message="make it")
        await handle_all()
        watcher.url = await spawn("watcher", message="watch it")
        await handle_all()
        return watcher

    return make


async def write(key: str, *, name: str = "notes", operation: str = "upsert") -> None:
    """Somebody else changes the board."""
    stream = await look(get_stream, "shared:board")
    spec = SCHEMA[name]

    def change(unit: Any) -> None:
        if operation == "delete":
            collection.delete(unit, stream.id, spec, key)
        else:
            collection.upsert(unit, stream.id, spec, {"key": key, "text": f"text of {key}"})

    await submit(change, provenance=Provenance("user:ada"))


async def test_a_change_wakes_the_observer_and_says_what_changed(watch: Watch) -> None:
    watcher = await watch(Change())
    await write("a")
    await handle_all()

    (payload,) = watcher.payloads
    assert (payload["source"], payload["timeout"]) == ("shared:board", False)
    (change,) = payload["changes"]
    assert (change["collection"], change["kind"], change["key"]) == ("notes", "insert", "a")
    assert change["by"] == "user:ada"


async def test_changes_before_the_wake_are_merged_into_it(watch: Watch) -> None:
    watcher = await watch(Change())
    for key in "abc":
        await write(key)

    assert await handle_all() == 1
    assert watcher.keys == [["a", "b", "c"]]


async def test_a_wake_lists_a_bounded_number_of_changes_and_counts_them_all(watch: Watch) -> None:
    watcher = await watch(Change())
    many = wake_module.MAX_CHANGES + 5
    for number in range(many):
        await write(f"k{number}")
    await handle_all()

    (payload,) = watcher.payloads
    assert (len(payload["changes"]), payload["count"]) == (wake_module.MAX_CHANGES, many)


async def test_the_entitys_own_writes_do_not_wake_it(watch: Watch) -> None:
    watcher = await watch(Change(), writes_itself=True)

    assert await handle_all() == 0
    await write("a")
    await handle_all()

    assert watcher.keys == [["a"]]


async def test_only_the_named_collections_wake(watch: Watch) -> None:
    watcher = await watch(Change(collections=["marks"]))
    await write("note")
    assert await handle_all() == 0

    await write("mark", name="marks")
    await handle_all()
    assert watcher.keys == [["mark"]]


async def test_only_the_named_operations_wake(watch: Watch) -> None:
    watcher = await watch(Change(ops=["delete"]))
    await write("a")
    await write("a")
    assert await handle_all() == 0

    await write("a", operation="delete")
    await handle_all()
    assert [payload["changes"][0]["kind"] for payload in watcher.payloads] == ["delete"]


async def test_the_debounce_is_counted_from_the_last_change(watch: Watch) -> None:
    watcher = await watch(Change(debounce=60))
    await write("a")
    (first,) = await wakes(watcher.url, reason="change")
    await write("b")
    (second,) = await wakes(watcher.url, reason="change")

    assert first.pk == second.pk
    assert second.due_at > first.due_at > timezone.now() + timedelta(seconds=50)
    assert await handle_all() == 0


async def test_a_debounced_wake_fires_by_itself(watch: Watch) -> None:
    watcher = await watch(Change(debounce=0.05))
    async with working():
        await write("a")
        await until(lambda: watcher.payloads, "the debounced wake")

    (fired,) = await wakes(watcher.url, reason="change")
    assert watcher.keys == [["a"]]
    assert fired.claimed_at is not None
    assert fired.claimed_at >= fired.created_at + timedelta(seconds=0.05)


async def test_the_timeout_fires_when_nothing_changes(watch: Watch) -> None:
    watcher = await watch(Change(timeout=0.05))
    async with working():
        await until(lambda: watcher.payloads, "the timeout")

    assert watcher.payloads[0]["timeout"] is True
    assert watcher.payloads[0]["changes"] == []


async def test_a_change_comes_before_the_timeout_and_takes_its_place(watch: Watch) -> None:
    watcher = await watch(Change(timeout=60))
    await write("a")

    assert await handle_all() == 1
    assert (watcher.payloads[0]["timeout"], watcher.keys) == (False, [["a"]])


async def test_the_timeout_is_armed_anew_by_observing_again(watch: Watch) -> None:
    watcher = await watch(Change(timeout=60))
    await write("a")
    await handle_all()

    (waiting,) = await wakes(watcher.url, state="pending")
    assert waiting.payload["timeout"] is True


async def test_changes_while_the_handler_runs_make_a_wake_of_their_own(watch: Watch) -> None:
    watcher = await watch(Change())
    await write("a")
    (claimed,) = await claim("slow-worker")
    await write("b")

    states = [wake.state for wake in await wakes(watcher.url, reason="change")]
    assert states == [Wake.State.CLAIMED, Wake.State.PENDING]
    assert [change["key"] for change in claimed.wake.payload["changes"]] == ["a"]


async def test_a_change_during_its_wakes_retry_is_not_lost(watch: Watch) -> None:
    """A wake that ran once keeps what it said; a change that comes then waits behind it."""
    watcher = await watch(Change())
    await write("a")
    await claim("dies")
    await expire(watcher.url)
    await recover()
    await write("b")
    await handle_all()

    assert watcher.keys == [["a"], ["b"]]


async def test_a_withdrawn_subscription_wakes_no_more_not_even_by_its_timeout(types: Registry) -> None:
    @types.define("fickle")
    async def fickle(ctx: Any, wake: Any) -> None:
        if wake.payload == "watch":
            await ctx.mkdb("board", SCHEMA)
            await ctx.observe(db("board"), wake=Change(timeout=60))
        else:
            await ctx.unobserve(db("board"))

    url = await spawn("fickle", message="watch")
    await handle_all()
    assert [wake.payload["timeout"] for wake in await wakes(url, state="pending")] == [True]

    await tell(url, "do not")
    await handle_all()
    await write("a")

    assert await wakes(url, state="pending") == []


async def test_removing_one_subscription_touches_one(types: Registry) -> None:
    @types.define("observer")
    async def observer(ctx: Any, wake: Any) -> None:
        if wake.payload == "watch":
            await ctx.mkdb("left", SCHEMA)
            await ctx.mkdb("right", SCHEMA)
            for id in ("left", "right"):
                await ctx.observe(db(id), wake=Change())
        else:
            await ctx.unobserve(db("left"))

    first = await spawn("observer", "first", message="watch")
    await handle_all()
    await tell(first, "unwatch left")
    await handle_all()

    left = await look(lambda: list(Subscription.objects.values_list("source_url", flat=True)))
    assert left == ["shared:right"]


async def test_an_entitys_state_can_be_observed_and_its_chatter_does_not_wake(types: Registry) -> None:
    seen: list[Any] = []

    @types.define("counter", state={"numbers": Collection()})
    async def counter(ctx: Any, wake: Any) -> None:
        await ctx.reply_text("counting")
        if wake.payload == "count":
            await ctx.state.numbers.upsert(key="n", value=1)

    @types.define("observer")
    async def observer(ctx: Any, wake: Any) -> None:
        await ctx.observe(entity("/counter/c"), wake=Change())
        if wake.type == "wake":
            seen.append([change["collection"] for change in wake.payload["changes"]])

    await spawn("counter", "c", message="start")
    await handle_all()
    await spawn("observer", message="watch")
    await handle_all()

    await tell("/counter/c", "just talk")
    await handle_all()
    assert seen == []
    await tell("/counter/c", "count")
    await handle_all()
    assert seen == [["numbers"]]


async def test_a_burst_from_many_writers_is_told_completely(watch: Watch) -> None:
    """Claims and changes race: every change is in exactly one wake."""
    watcher = await watch(Change())
    async with working():
        await asyncio.gather(*(write(f"k{number}") for number in range(60)))
        await quiet()

    told = sorted(key for keys in watcher.keys for key in keys)
    assert told == sorted(f"k{number}" for number in range(60))


async def test_changes_that_keep_coming_put_a_wake_off_no_longer_than_its_timeout(watch: Watch) -> None:
    watcher = await watch(Change(debounce=60, timeout=90))
    await write("a")
    (first,) = await wakes(watcher.url, reason="change")
    await look(Wake.objects.filter(pk=first.pk).update, created_at=first.created_at - timedelta(seconds=50))
    await write("b")

    (second,) = await wakes(watcher.url, reason="change")
    assert second.due_at == first.created_at + timedelta(seconds=40)
