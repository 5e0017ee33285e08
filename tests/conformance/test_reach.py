"""A message finds its agent: what is remembered of it, and that nobody gets in by what is remembered."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from entities import access
from entities.api import EntityNotFound, EntityStopped, NewEntity, deliver, registry, signal, spawn_now
from entities.models import Entity
from entities.wakes import lease
from shared_state.core.types import Principal
from shared_state.models import EventRecord, Grant, RowRecord
from tests.conformance.writing import do
from tests.support.statements import statements

ADA, BEN, CLEO = (Principal("user", name) for name in ("ada", "ben", "cleo"))
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _known_types() -> Iterator[None]:
    registry.store()
    access._known.clear()
    yield
    access._known.clear()


def agent(slug: str = "one", owner: Principal = ADA) -> Entity:
    return spawn_now(owner, NewEntity("assistant", slug))


def send(who: Principal, url: str = "/assistant/one", payload: Any = "hello", **more: Any) -> Any:
    return async_to_sync(deliver)(who, url, payload, **more)


def inbox_of(found: Entity) -> list[str]:
    events = EventRecord.objects.filter(stream=found.stream_id, type="inbox").order_by("offset")
    return [(event.value or {})["payload"] for event in events]


def test_an_owners_second_message_is_accepted_without_a_look_at_the_agent() -> None:
    one = agent()
    send(ADA, payload="first")

    if connection.vendor == "sqlite":
        with statements() as said:
            send(ADA, payload="second")
        assert not [statement for statement in said if "JOIN" in statement and "entity_entity" in statement]
    else:
        send(ADA, payload="second")

    assert inbox_of(one) == ["first", "second"]


@pytest.mark.parametrize("act", [send, lambda who: async_to_sync(signal)(who, "/assistant/one", "SIGINT")])
def test_a_stranger_finds_nothing_where_the_owner_is_remembered(act: Callable[[Principal], Any]) -> None:
    one = agent()
    send(ADA)

    for stranger in (BEN, CLEO, Principal("agent", "ada")):
        with pytest.raises(EntityNotFound):
            act(stranger)
    assert inbox_of(one) == ["hello"]


def test_a_grant_that_is_withdrawn_is_gone_with_the_next_message() -> None:
    one = agent()
    given = Grant.objects.create(stream_id=one.stream_id, principal=str(BEN), role="chat")
    send(BEN, payload="from Ben")
    given.delete()

    with pytest.raises(EntityNotFound):
        send(BEN, payload="again")
    assert inbox_of(one) == ["from Ben"]


def test_an_agent_that_was_deleted_is_not_found() -> None:
    one = agent()
    send(ADA)
    one.stream.delete()

    with pytest.raises(EntityNotFound):
        send(ADA)


def test_an_agent_made_anew_by_somebody_else_is_not_reached_by_what_was_remembered() -> None:
    agent().stream.delete()
    theirs = agent(owner=BEN)
    access._known[theirs.url] = Entity(
        pk=theirs.pk, stream=theirs.stream, type="assistant", url=theirs.url, owner=str(ADA), state="idle"
    )
    access._known[theirs.url].stream.owner = str(ADA)

    with pytest.raises(EntityNotFound):
        send(ADA, payload="mine?")
    assert inbox_of(theirs) == []


def test_an_agent_made_anew_by_its_owner_is_reached() -> None:
    old = agent()
    send(ADA, payload="to the old one")
    old.stream.delete()
    new = agent()

    send(ADA, payload="to the new one")
    assert inbox_of(new) == ["to the new one"]


def test_an_agent_that_was_stopped_meanwhile_takes_no_message() -> None:
    one = agent()
    send(ADA)
    Entity.objects.filter(pk=one.pk).update(state="stopped")

    with pytest.raises(EntityStopped):
        send(ADA)


def test_no_more_agents_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "REMEMBERED", 2)
    for slug in ("one", "two", "three"):
        agent(slug)
        send(ADA, f"/assistant/{slug}")

    assert list(access._known) == ["/assistant/two", "/assistant/three"]


def test_a_key_that_was_made_up_for_a_message_makes_it_repeatable_all_the_same() -> None:
    one = agent()
    first = send(ADA, payload="once")

    assert send(ADA, payload="once", key=first.key).repeated
    assert inbox_of(one) == ["once"]


def presence_events(found: Entity) -> int:
    return EventRecord.objects.filter(stream=found.presence_id).count()


def test_messages_move_an_agents_last_activity_once_a_second() -> None:
    one = agent()
    send(ADA)
    before, said = Entity.objects.get(pk=one.pk).last_activity_at, presence_events(one)
    send(ADA)
    assert (Entity.objects.get(pk=one.pk).last_activity_at, presence_events(one)) == (before, said)

    long_ago = before - timedelta(seconds=2)
    Entity.objects.filter(pk=one.pk).update(last_activity_at=long_ago)
    send(ADA)
    moved = Entity.objects.get(pk=one.pk)
    assert moved.last_activity_at >= before
    assert presence_events(one) == said + 1


def test_an_agent_that_begins_to_run_is_told_at_once() -> None:
    one = agent()
    send(ADA)
    said = presence_events(one)

    assert len(do(lease.claiming("w", 1))) == 1
    assert presence_events(one) == said + 1


@pytest.mark.parametrize("message", [None, "hello"])
def test_an_agent_is_in_its_owners_list_as_soon_as_it_is_made(message: str | None) -> None:
    one = spawn_now(ADA, NewEntity("assistant", "one", message=message))

    assert RowRecord.objects.filter(stream=one.presence_id, type="agent", key=one.url).exists()
