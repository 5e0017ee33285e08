"""Wakes by messages and finished children: written with their cause, coalesced without a loss."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest

from entities import api
from entities.api import InvalidInput, KeyTaken, RunFinished
from entities.lifecycle import inbox
from entities.models import Wake
from entities.testing.runtime import (
    ADA,
    claim,
    entity,
    events,
    handle_all,
    handle_next,
    look,
    quiet,
    said_to,
    spawn,
    tell,
    texts,
    until,
    values,
    wakes,
    working,
)
from entities.types.registry import Registry
from entities.wakes import reports
from entities.worker import runtime
from shared_state.api import Provenance, events_appended, submit


class Gate:
    """A handler that waits at a gate; the test opens it."""

    def __init__(self, types: Registry, name: str = "gated") -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.seen: list[list[Any]] = []

        @types.define(name)
        async def gated(ctx: Any, wake: Any) -> None:
            self.seen.append([event.value["payload"] for event in ctx.events])
            self.entered.set()
            await self.open.wait()


@pytest.fixture
def echo(types: Registry) -> None:
    """Says every message of its wake, in one breath."""

    @types.define("echo")
    async def echo(ctx: Any, wake: Any) -> None:
        await ctx.reply_text(" + ".join(event.value["payload"] for event in ctx.events))


@pytest.mark.usefixtures("echo")
async def test_a_message_and_its_wake_are_one_transaction() -> None:
    url = await spawn("echo")
    found = await entity(url)

    def deliver_and_fail(unit: Any) -> None:
        inbox.delivery(found, "user:ada", "never sent")(unit)
        unit.flush()
        assert Wake.objects.filter(entity=found).exists()
        raise ConnectionError("the caller broke off")

    with pytest.raises(ConnectionError):
        await submit(deliver_and_fail, provenance=Provenance("user:ada"))
    assert (await said_to(url), await wakes(url)) == ([], [])

    await tell(url, "sent")
    assert (await said_to(url), len(await wakes(url))) == (["sent"], 1)


@pytest.mark.usefixtures("echo")
async def test_no_wake_is_written_without_its_message() -> None:
    url = await spawn("echo")

    with pytest.raises(InvalidInput, match="empty"):
        await tell(url, "  ")

    assert await wakes(url) == []


@pytest.mark.usefixtures("echo")
async def test_messages_that_wait_together_are_handled_together() -> None:
    url = await spawn("echo")
    for word in ("one", "two", "three"):
        await tell(url, word)

    assert await handle_all() == 1
    assert await texts(url) == ["one + two + three"]


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize("hours", [1, -1], ids=["later", "earlier"])
async def test_messages_that_are_merged_are_due_at_the_earlier_time(hours: int) -> None:
    """A wake that waits for another time, by a clock that was ahead perhaps, keeps no message waiting."""
    url = await spawn("echo", message="one")
    (waiting,) = await wakes(url)
    due = waiting.due_at + timedelta(hours=hours)
    await look(Wake.objects.filter(pk=waiting.pk).update, due_at=due)

    sent = await tell(url, "two")

    (merged,) = await wakes(url)
    assert merged.due_at == min(due, sent.timestamp)
    assert await handle_all() == 1
    assert await texts(url) == ["one + two"]


@pytest.mark.usefixtures("echo")
async def test_a_message_sent_again_with_its_key_changes_nothing() -> None:
    url = await spawn("echo")
    first = await tell(url, "hello", key="k1")
    await handle_all()

    again = await tell(url, "hello", key="k1")

    assert (again.offset, again.repeated) == (first.offset, True)
    assert await handle_all() == 0
    assert (await said_to(url), await texts(url)) == (["hello"], ["hello"])


@pytest.mark.usefixtures("echo")
async def test_a_key_that_somebody_else_used_does_not_swallow_a_message() -> None:
    url = await spawn("echo")
    await tell(url, "first", key="the-same-key")
    found = await entity(url)

    with pytest.raises(KeyTaken, match="Somebody else's message has this key"):
        await submit(
            inbox.delivery(found, "user:ben", "second", key="the-same-key"),
            provenance=Provenance("user:ben"),
        )
    assert await said_to(url) == ["first"]


async def test_messages_that_arrive_while_the_handler_runs_get_a_wake_of_their_own(types: Registry) -> None:
    gate = Gate(types)
    url = await spawn("gated", message="first")
    async with working() as worker:
        await gate.entered.wait()
        await tell(url, "second")
        await tell(url, "third")
        gate.open.set()
        await quiet(worker)

    assert gate.seen == [["first"], ["second", "third"]]
    assert {row["status"] for row in await values(url, "inbox")} == {"processed"}


async def test_a_message_is_processed_only_when_its_own_wake_is_settled(types: Registry) -> None:
    gate = Gate(types)
    url = await spawn("gated", message="first")
    async with working():
        await gate.entered.wait()
        await tell(url, "second")
        assert [row["status"] for row in await values(url, "inbox")] == ["pending", "pending"]
        gate.open.set()
        await quiet()

    processed = [e.provenance.wake for e in await events(url, "inbox") if e.operation == "update"]
    assert processed == ["w1", "w2"]


async def test_a_message_accepted_while_no_worker_runs_is_handled_when_one_starts(types: Registry) -> None:
    Gate(types).open.set()
    url = await spawn("gated")
    await tell(url, "anybody there?")

    async with working() as worker:
        await quiet(worker)

    assert [wake.state for wake in await wakes(url)] == [Wake.State.DONE]


# -- finished children


@pytest.fixture
def family(types: Registry) -> list[dict[str, Any]]:
    """A parent with three children that answer; returns the reports that the parent got."""
    reports: list[dict[str, Any]] = []

    @types.define("child")
    async def child(ctx: Any, wake: Any) -> None:
        await ctx.reply_text(f"{wake.payload} from {ctx.entity_url}")

    @types.define("parent")
    async def parent(ctx: Any, wake: Any) -> None:
        if wake.type == "inbox":
            for number in (1, 2, 3):
                await ctx.spawn("child", f"c{number}", initial_message="hello", wake=RunFinished())
        else:
            reports.append(wake.payload)

    return reports


async def test_children_that_finish_together_are_one_report_each(family: list[dict[str, Any]]) -> None:
    url = await spawn("parent", message="go")
    async with working() as worker:
        await quiet(worker)

    assert sorted(report["finished_child"]["url"] for report in family) == [
        "/child/c1",
        "/child/c2",
        "/child/c3",
    ]
    assert len(await wakes(url, reason="run_finished")) == 3


async def test_children_that_finished_before_the_parent_looks_are_not_merged(
    family: list[dict[str, Any]],
) -> None:
    url = await spawn("parent", message="go")
    await handle_all()

    assert len(family) == 3
    assert [wake.number for wake in await wakes(url)] == [1, 2, 3, 4]


async def test_a_report_says_who_finished_how_and_what_it_said(family: list[dict[str, Any]]) -> None:
    url = await spawn("parent", message="go")
    await handle_all()

    first = family[0]
    assert first["source"] == "/child/c1"
    assert first["finished_child"] == {
        "url": "/child/c1",
        "type": "child",
        "run_id": "1.0",
        "run_status": "completed",
        "error": None,
        "response": "hello from /child/c1",
    }
    assert [child["url"] for child in first["other_children"]] == ["/child/c2", "/child/c3"]
    assert first["timeout"] is False
    logged = await values(url, "wake")
    assert [row["finished_child"]["url"] for row in logged] == ["/child/c1", "/child/c2", "/child/c3"]


def a_crowd(types: Registry, *, at_work: int = 20) -> list[dict[str, Any]]:
    """A type that spawns 20 children and observes those of them that get work; what it is told of them."""
    told: list[dict[str, Any]] = []

    @types.define("one")
    async def one(ctx: Any, wake: Any) -> None:
        await ctx.reply_text("done")

    @types.define("crowd")
    async def crowd(ctx: Any, wake: Any) -> None:
        if wake.type != "inbox":
            told.append(wake.payload)
            return
        for number in range(20):
            work: Any = {"initial_message": "go", "wake": RunFinished()} if number < at_work else {}
            await ctx.spawn("one", f"o{number:02}", **work)

    return told


async def test_a_report_looks_at_the_newest_siblings_and_counts_all(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "LOOKED_AT", 5)
    told = a_crowd(types, at_work=1)

    await spawn("crowd", message="go")
    await handle_all()

    [report] = told
    listed = [child["url"] for child in report["other_children"]]
    assert listed == [f"/one/o{number}" for number in range(15, 20)]
    assert report["more_children"] == 19 - 5


async def test_a_report_lists_few_of_many_siblings_and_first_those_that_are_not_done(types: Registry) -> None:
    """What 80 reports repeated of each other was 324 KB of the parent's log."""
    told = a_crowd(types)

    url = await spawn("crowd", message="go")
    for _ in range(14):
        await handle_next()  # the crowd, and 13 of its children
    assert len(await claim("busy", 7)) == 7
    await handle_all()

    assert len(told) == 13
    last = {report["finished_child"]["url"]: report for report in told}["/one/o12"]
    assert [child["status"] for child in last["other_children"]] == ["running"] * 7 + ["idle"]
    assert [child["url"] for child in last["other_children"][:7]] == [f"/one/o{n}" for n in range(13, 20)]
    assert last["more_children"] == 11
    logged = await values(url, "wake")
    assert {len(wake["other_children"]) + wake["more_children"] for wake in logged} == {19}
    assert max(len(orjson.dumps(wake)) for wake in logged) < 1_000


async def test_the_same_child_finishing_twice_is_two_reports(family: list[dict[str, Any]]) -> None:
    await spawn("parent", message="go")
    await handle_all()
    await tell("/child/c2", "again")
    await handle_all()

    said = [report["finished_child"]["response"] for report in family]
    assert said[-1] == "again from /child/c2"
    assert len(said) == 4


async def test_a_finished_run_and_the_parents_wake_are_one_transaction(
    family: list[dict[str, Any]],
) -> None:
    url = await spawn("parent", message="go")
    (parent,) = await claim("one")
    await runtime.execute(runtime.prepare(parent))

    def check(sender: Any, unit: Any, events: list[Any], **kwargs: Any) -> None:
        ended = [e for e in events if e.type == "run" and e.value["status"] == "completed"]
        if ended:
            assert Wake.objects.filter(entity__url=url, reason="run_finished").exists()
            raise ConnectionError("the power fails before the commit")

    events_appended.connect(check)
    try:
        for found in await claim("two"):
            await runtime.execute(runtime.prepare(found))
    finally:
        events_appended.disconnect(check)
    runs = await values("/child/c1", "run")
    assert (runs, await wakes(url, reason="run_finished")) == ([], [])


async def test_a_wake_by_hand_runs_the_handler(types: Registry) -> None:
    seen: list[str] = []

    @types.define("bell")
    async def bell(ctx: Any, wake: Any) -> None:
        seen.append(f"{wake.type} by {wake.source}")

    url = await spawn("bell")
    await look(api.wake_now, ADA, await entity(url))
    async with working():
        await until(lambda: seen, "the bell")

    assert seen == ["wake by user:ada"]
