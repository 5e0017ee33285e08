"""Reading logs and writing rows by the API."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from agents_site.api import streams
from shared_state import api
from shared_state.api import NewEvent, Provenance
from shared_state.models import EventRecord, RowRecord
from tests.site.caller import Caller
from tests.site.world import World, build, grant

HOST = "/api/streams/debate/host"


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def caller(world: World, ada: User) -> Caller:
    return Caller.of(ada)


def rows_of(world: World, collection: str = "notes") -> str:
    return f"/api/streams/{world.shared.path}/rows/{collection}"


async def stored(world: World) -> list[dict[str, Any]]:
    found = RowRecord.objects.filter(stream=world.shared.id, type="shared:notes").order_by("created")
    return [row.value async for row in found]


# -- reading


async def test_it_reads_a_log_from_the_beginning(caller: Caller, world: World) -> None:
    reply = (await caller.get(HOST)).json

    first = reply["events"][0]
    assert (reply["stream"], first["type"]) == ("/debate/host", "entity_created")
    assert set(first) == {"type", "key", "value", "headers"}
    assert first["headers"]["operation"] == "insert"
    assert first["headers"]["offset"] == "0000000000000000_0000000000000001"


async def test_it_goes_on_from_a_cursor_without_a_gap_or_a_double(caller: Caller) -> None:
    whole = (await caller.get(HOST, "limit=1000")).json
    pieces, after = [], ""
    while True:
        reply = (await caller.get(HOST, f"limit=7&after={after}")).json
        pieces += reply["events"]
        after = reply["next"]
        if not reply["more"]:
            break

    assert pieces == whole["events"]
    assert after == whole["next"]
    assert (await caller.get(HOST, f"after={after}")).json["events"] == []


async def test_it_chooses_types_and_the_cursor_passes_the_others(caller: Caller) -> None:
    reply = (await caller.get(HOST, "types=text,error")).json

    assert {event["type"] for event in reply["events"]} == {"text", "error"}
    assert reply["next"] == (await caller.get(HOST, "limit=1000")).json["next"]


@pytest.mark.parametrize(
    "query", ["after=5", "after=x", "limit=0", "limit=10001", "limit=-1", "limit=x", "format=x"]
)
async def test_it_refuses_what_is_no_cursor_or_limit(query: str, caller: Caller) -> None:
    assert (await caller.get(HOST, query)).status == 400


async def test_an_answer_is_bounded_in_bytes(
    caller: Caller, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_BYTES", 100)

    reply = (await caller.get(HOST)).json

    assert 1 <= len(reply["events"]) < 5
    assert reply["more"] is True
    assert reply["next"] == reply["events"][-1]["headers"]["offset"]


async def test_it_reads_shared_state_and_the_directory(caller: Caller, world: World) -> None:
    shared = (await caller.get(f"/api/streams/{world.shared.path}")).json
    presence = (await caller.get("/api/streams/presence:user:ada")).json

    assert shared["events"][2]["headers"]["old_value"]["text"] == world.text
    assert {event["type"] for event in presence["events"]} == {"agent"}


# -- writing rows


async def test_it_inserts_a_row_as_its_sender(caller: Caller, world: World) -> None:
    reply = await caller.post(rows_of(world), {"row": {"key": "n1", "text": "hello"}})

    assert reply.status == 201
    assert reply.json["value"] == {"key": "n1", "text": "hello"}
    assert reply.json["writer"] == "user:ada"
    assert (await stored(world))[-1] == {"key": "n1", "text": "hello"}


async def test_it_updates_the_named_fields(caller: Caller, world: World) -> None:
    made = (await caller.post(rows_of(world), {"row": {"key": "n1", "text": "hello"}})).json

    body = {"operation": "update", "key": "n1", "row": {"text": "bye"}, "expect_version": made["version"]}
    changed = await caller.post(rows_of(world), body)
    stale = await caller.post(rows_of(world), body)

    assert (changed.status, changed.json["value"]["text"]) == (200, "bye")
    assert (stale.status, stale.code) == (409, "version_conflict")
    assert stale.json["error"]["current"] == {"key": "n1", "text": "bye"}


async def test_sending_again_with_the_same_key_changes_nothing(caller: Caller, world: World) -> None:
    body = {"row": {"key": "n1", "text": "hello"}, "client_key": "once"}
    first = await caller.post(rows_of(world), body)
    again = await caller.post(rows_of(world), body)

    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert await EventRecord.objects.filter(stream=world.shared.id, key="n1").acount() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"row": {"key": "n1", "text": "bye"}},
        {"row": {"key": "n2", "text": "hello"}},
        {"operation": "update", "key": "n1", "row": {"text": "hello"}},
    ],
)
async def test_a_key_that_comes_again_with_another_change_is_refused(
    caller: Caller, world: World, other: dict[str, Any]
) -> None:
    await caller.post(rows_of(world), {"row": {"key": "n1", "text": "hello"}, "client_key": "once"})

    reply = await caller.post(rows_of(world), {**other, "client_key": "once"})

    assert (reply.status, reply.code) == (409, "key_reused")
    assert await EventRecord.objects.filter(stream=world.shared.id, key__in=["n1", "n2"]).acount() == 1


async def test_a_key_belongs_to_its_sender(caller: Caller, world: World, ben: User) -> None:
    await api.in_thread(grant, world, "ben", "chat")
    other = await api.in_thread(Caller.of, ben)
    await caller.post(rows_of(world), {"row": {"key": "n1", "text": "a"}, "client_key": "k"})

    reply = await other.post(rows_of(world), {"row": {"key": "n2", "text": "b"}, "client_key": "k"})

    assert (reply.status, reply.json["writer"]) == (201, "user:ben")


@pytest.mark.parametrize(
    ("collection", "body", "status", "code"),
    [
        ("notes", {"row": {"key": "n1"}}, 400, "invalid_row"),
        ("notes", {"row": {"text": "x"}}, 400, "invalid_row"),
        ("notes", {"operation": "update", "key": "none", "row": {}}, 404, "row_not_found"),
        ("notes", {"operation": "update", "row": {}}, 400, "invalid_body"),
        ("notes", {"operation": "delete", "key": "n1"}, 403, "operation_not_allowed"),
        ("notes", {"operation": "upsert", "row": {}}, 400, "invalid_body"),
        ("notes", {"row": {"key": "n1", "text": "x"}, "expect_version": "1"}, 400, "invalid_offset"),
        ("sealed", {"operation": "update", "key": "n1", "row": {}}, 403, "operation_not_allowed"),
        ("inner", {"row": {"key": "n1", "text": "x"}}, 403, "not_writable"),
        ("arguments", {"row": {}}, 403, "not_writable"),
        ("none", {"row": {}}, 404, "collection_not_found"),
    ],
)
async def test_it_refuses_what_the_collection_does_not_allow(
    collection: str, body: dict[str, Any], status: int, code: str, caller: Caller, world: World
) -> None:
    before = await stored(world)
    reply = await caller.post(rows_of(world, collection), body)

    assert (reply.status, reply.code) == (status, code)
    assert await stored(world) == before


async def test_the_same_row_twice_is_a_conflict(caller: Caller, world: World) -> None:
    body = {"row": {"key": "n1", "text": "hello"}}
    await caller.post(rows_of(world), body)

    reply = await caller.post(rows_of(world), body)

    assert (reply.status, reply.code) == (409, "row_exists")


async def test_who_may_only_look_may_not_write(world: World, ben: User) -> None:
    await api.in_thread(grant, world, "ben", "view")
    caller = await api.in_thread(Caller.of, ben)

    assert (await caller.get(f"/api/streams/{world.shared.path}")).status == 200
    reply = await caller.post(rows_of(world), {"row": {"key": "n1", "text": "x"}})
    assert (reply.status, reply.code) == (403, "access_denied")


async def test_a_closed_stream_takes_nothing(caller: Caller, world: World) -> None:
    await api.submit(
        lambda unit: unit.change_stream(world.shared.id, closed=True), provenance=Provenance("system:test")
    )

    reply = await caller.post(rows_of(world), {"row": {"key": "n1", "text": "x"}})

    assert (reply.status, reply.code) == (409, "stream_closed")


async def test_an_agents_own_state_is_written_only_if_its_type_opens_it(caller: Caller) -> None:
    reply = await caller.post(f"{HOST}/rows/status", {"row": {"key": "x"}})

    assert (reply.status, reply.code) == (403, "not_writable")


async def test_events_that_come_meanwhile_are_not_lost(caller: Caller, world: World) -> None:
    cursor = (await caller.get(HOST, "limit=1000")).json["next"]
    new = [NewEvent("state:status", f"k{n}", {"key": f"k{n}"}) for n in range(3)]
    await api.append(world.host.stream_id, new, provenance=Provenance("user:ada"))

    reply = (await caller.get(HOST, f"after={cursor}")).json

    assert [event["key"] for event in reply["events"]] == ["k0", "k1", "k2"]
