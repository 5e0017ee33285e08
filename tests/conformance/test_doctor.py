"""The doctor says nothing of what is sound, also while it is in use, and names whatever is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.utils import timezone

from entities.models import Entity, Subscription, Timer, Wake
from entities.testing.runtime import claim, entity, look, quiet, spawn, tell, working
from entities.types.registry import Registry, registry
from entities.upkeep import doctor, logs
from entities.upkeep.finding import Finding
from shared_state.api import NewEvent, Provenance, get_stream, read, read_newest, read_ranges, submit
from shared_state.log import wire
from shared_state.models import EventRecord, RowRecord, Stream
from tests.support.answering import an_hour_passes, answered, prune, speaking

URL = "/debate/town"


@pytest.fixture
async def debate() -> None:
    """A debate that was held, and a message that waits."""
    await look(registry.store)
    await spawn("debate", "town", message="Debate in 1 round: should cities ban private cars?")
    async with working() as worker:
        await quiet(worker, 60)


def findings() -> list[Finding]:
    return list(doctor.examine())


async def test_what_is_sound_has_no_findings(debate: None) -> None:
    assert await look(findings) == []
    await look(an_hour_passes)
    await look(prune)
    assert await look(findings) == []


async def test_neither_has_what_is_just_being_done(debate: None) -> None:
    await tell(URL, "And?")
    assert await look(findings) == []
    await claim()
    assert await look(findings) == []


async def test_it_may_look_while_agents_work(debate: None) -> None:
    found: list[Finding] = []
    async with working() as worker:
        for number in range(3):
            await spawn("debate", f"busy-{number}", message="Debate in 1 round: should tea be free?")
        watching = asyncio.create_task(quiet(worker, 60))
        while not watching.done():
            found += await look(findings)
        await watching

    assert found == []


def _stream() -> Stream:
    return Stream.objects.get(path=URL)


def _row(type: str) -> Any:
    return RowRecord.objects.filter(stream=_stream(), type=type).order_by("created")


def _one(type: str) -> Any:
    return RowRecord.objects.filter(pk=_row(type).first().pk)


def _wake() -> Any:
    return Wake.objects.filter(pk=Wake.objects.filter(entity__url=URL).order_by("-pk").values("pk")[:1])


def _entity() -> Any:
    return Entity.objects.filter(url=URL)


LONG_AGO = timezone.now() - timedelta(hours=1)
SOON = timezone.now() + timedelta(hours=1)


def _timer() -> None:
    Timer.objects.create(
        entity=_entity().get(), sender="user:ada", payload="x", key="k", due_at=LONG_AGO, created_at=LONG_AGO
    )


def _event() -> Any:
    return EventRecord.objects.filter(stream=_stream(), offset=2)


DAMAGES: dict[str, tuple[Callable[[], Any], str]] = {
    "an event is gone": (lambda: _event().delete(), "events, not"),
    "the head is ahead": (lambda: Stream.objects.filter(path=URL).update(head=F("head") + 1), "its head is"),
    "a row is gone": (lambda: _row("text").first().delete(), "there is no row"),
    "a row is another": (lambda: _row("text").update(value={"key": "x"}), "its value is not"),
    "a row was made elsewhere": (lambda: _row("text").update(created=2), "it says that it came to be at 2"),
    "a row is old": (lambda: _row("run").update(version=2), "its version is 2"),
    "a row is from nowhere": (lambda: _one("step").update(key="other"), "the log has no event"),
    "a lease without a wake": (
        lambda: _entity().update(lease_owner="w", lease_expires_at=SOON), "0 wakes are claimed"
    ),
    "a lease without an owner": (lambda: _entity().update(lease_expires_at=SOON), "has no owner"),
    "a wake without a lease": (lambda: _wake().update(state="claimed"), "nobody holds the lease"),
    "a wake that nobody takes": (
        lambda: _wake().update(state="pending", due_at=LONG_AGO), "it is due since"
    ),
    "a wake beyond the log": (lambda: _wake().update(state="parked", to_offset=10**6), "beyond the head"),
    "a wake that was never settled": (lambda: _wake().update(settled_at=None), "never settled"),
    "a wake of a higher number": (lambda: _wake().update(state="parked", number=99), "it is number 99"),
    "a timer that nobody delivered": (_timer, "was not delivered"),
    "a list without it": (
        lambda: RowRecord.objects.filter(type="agent", key=URL).delete(), "not in its owner's list"
    ),
    "a list that says otherwise": (lambda: _entity().update(state="paused"), "the list of agents says idle"),
    "a list with a stranger": (lambda: _entity().update(url="/debate/elsewhere"), "which is gone"),
    "an agent that is gone": (lambda: _entity().delete(), "of an agent that is gone"),
    "nobody is told": (
        lambda: (
            Stream.objects.update(observed=False),
            Subscription.objects.create(
                observer=_entity().get(), source=_stream(), source_url=URL, kind="change", created_at=LONG_AGO
            ),
        ),
        "not marked as observed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
async def test_what_is_wrong_is_said(debate: None, name: str) -> None:
    damage, words = DAMAGES[name]
    await look(damage)

    found = await look(findings)

    assert words in " ".join(map(str, found))
    assert all(finding.mend for finding in found)


@pytest.mark.parametrize(("type", "status"), [("inbox", "pending"), ("run", "started")])
async def test_what_waits_for_nobody_is_said(type: str, status: str, debate: None) -> None:
    def damage() -> None:
        row = _row(type).last()
        value = {**row.value, "status": status}
        _row(type).filter(pk=row.pk).update(value=value)
        EventRecord.objects.filter(stream=_stream(), offset=row.version).update(value=value)

    await look(damage)

    [finding] = await look(findings)
    assert finding.where.startswith(f"{URL} {type}")


async def test_a_value_that_was_left_to_a_row_is_missed(debate: None) -> None:
    await look(an_hour_passes)
    await look(prune)
    await look(lambda: _row("text").first().delete())

    [finding] = await look(findings)
    assert "left its value to a row that is gone" in finding.what


async def test_an_event_whose_row_has_gone_on_is_passed_over_by_readers_and_named(debate: None) -> None:
    """Nobody knows any more what it said: it is neither empty nor what the row says now."""
    await look(an_hour_passes)
    await look(prune)
    stream = await look(get_stream, URL)
    row = await look(lambda: _row("text").earliest("created"))
    hollow = await look(lambda: EventRecord.objects.get(stream=stream.id, offset=row.version))
    assert hollow.value is None
    again = NewEvent("text", row.key, {**row.value, "content": "Corrected."}, "update")
    await submit(lambda unit: unit.append(stream.id, [again]), provenance=Provenance("system:project"))

    [finding] = await look(findings)

    assert f"the event at {row.version} left its value to its row, which changed" in finding.what
    assert "Delete this event" in finding.mend
    after = await look(read, stream.id, row.version, 1)
    assert await look(read, stream.id, row.version - 1, 1) == after
    before = await look(read_newest, stream.id, row.version, 1)
    assert await look(read_newest, stream.id, row.version + 1, 1) == before
    page = await look(wire.page, stream.id, row.version - 1, 1, ["text"], wire.Plain())
    assert page.events == []
    [ranged] = await look(read_ranges, [(stream.id, "", row.version, row.version + 1)])
    assert ranged == []
    await look(hollow.delete)
    assert await look(findings) == []


async def test_its_memory_does_not_grow_with_pieces_of_texts(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaking(types, monkeypatch)
    url = await answered()
    stream = await look(lambda: Stream.objects.get(path=url))
    held: list[int] = []
    forget = logs._forget

    def counting(stream: Any, folded: Any, places: Any) -> None:
        forget(stream, folded, places)
        held.append(len(folded))

    monkeypatch.setattr(logs, "_forget", counting)
    assert await look(logs.examine, stream) == []
    rows = await look(stream.rows.count)
    assert await look(lambda: stream.events.filter(type="text_delta").count()) > 100
    assert max(held) <= rows


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL does not let it happen")
async def test_events_of_a_stream_that_is_gone_are_found(debate: None) -> None:
    def damage() -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute("DELETE FROM shared_state_stream WHERE kind = 'shared'")
            cursor.execute("PRAGMA foreign_keys = ON")

    await look(damage)

    assert [finding.what for finding in await look(findings)] == [
        "it is gone, and events of it are there.", "it is gone, and rows of it are there.",
    ]  # fmt: skip


async def test_the_command_says_so_and_ends_with_1(debate: None) -> None:
    said = StringIO()
    await look(call_command, "agents", "doctor", stdout=said)
    assert said.getvalue() == "All is well.\n"

    await look(lambda: _row("text").update(value={"key": "x"}))
    with pytest.raises(CommandError, match="are wrong") as error:
        await look(call_command, "agents", "doctor", stdout=said)

    assert error.value.returncode == 1
    assert "its value is not that of its last event" in said.getvalue()
    assert (await entity(URL)).state == "idle"
