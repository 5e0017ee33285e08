"""Making agents and talking to them by the API."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User

from entities.models import Entity, Wake
from shared_state import api
from shared_state.models import EventRecord
from tests.site.caller import Caller
from tests.site.world import World, build, grant

MESSAGES = "/api/agents/debate/host/messages"
SIGNALS = "/api/agents/debate/host/signals"


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def caller(world: World, ada: User) -> Caller:
    return Caller.of(ada)


async def test_it_makes_an_agent_that_belongs_to_the_caller(caller: Caller) -> None:
    reply = await caller.put("/api/agents/assistant/mine", {"message": "Hello", "title": "Mine"})

    assert reply.status == 201
    assert reply.headers["location"] == "/assistant/mine/"
    assert reply.json["url"] == "/assistant/mine"
    made = await Entity.objects.aget(url="/assistant/mine")
    assert (made.owner, made.created_by, made.title) == ("user:ada", "user:ada", "Mine")
    assert await Wake.objects.filter(entity=made, reason="inbox").acount() == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/agents/debate/host", {}, 409, "entity_exists"),
        ("/api/agents/nothing/x", {}, 404, "unknown_type"),
        ("/api/agents/worker/x", {"args": {}}, 400, "invalid_input"),
        ("/api/agents/debate/-x", {}, 400, "invalid_input"),
        ("/api/agents/debate/x%0A", {}, 400, "invalid_input"),
        ("/api/agents/debate%0A/x", {}, 404, "unknown_type"),
        ("/api/agents/debate/x y", {}, 400, "invalid_input"),
        ("/api/agents/debate/x", {"args": []}, 400, "invalid_body"),
        ("/api/agents/debate/x", {"title": "x" * 201}, 400, "invalid_body"),
        ("/api/agents/debate/x", {"message": " "}, 400, "invalid_input"),
        ("/api/agents/debate/x", {"owner": "user:cleo"}, 400, "invalid_body"),
    ],
)
async def test_it_says_why_an_agent_cannot_be_made(
    path: str, body: Any, status: int, code: str, caller: Caller
) -> None:
    before = await Entity.objects.acount()
    reply = await caller.put(path, body)

    assert (reply.status, reply.code) == (status, code)
    assert len(reply.json["error"]["message"]) > 5
    assert await Entity.objects.acount() == before


async def test_a_missing_argument_is_named(caller: Caller) -> None:
    reply = await caller.put("/api/agents/worker/x", {"args": {}})

    assert "system_prompt" in reply.json["error"]["message"]


async def test_it_delivers_a_message_once_for_each_key(caller: Caller, world: World) -> None:
    body = {"payload": {"hello": "you"}, "key": "message-1"}
    first, again = await caller.post(MESSAGES, body), await caller.post(MESSAGES, body)

    assert (first.status, again.status) == (201, 200)
    assert first.json["event"]["headers"]["offset"] == again.json["event"]["headers"]["offset"]
    assert first.json["event"]["value"]["from"] == "user:ada"
    assert await EventRecord.objects.filter(stream=world.host.stream_id, key="message-1").acount() == 1


@pytest.mark.parametrize("other", [{"payload": "b"}, {"payload": "a", "type": "order"}])
async def test_a_key_that_comes_again_with_another_message_is_refused(
    caller: Caller, world: World, other: dict[str, Any]
) -> None:
    await caller.post(MESSAGES, {"payload": "a", "key": "message-1"})

    reply = await caller.post(MESSAGES, {**other, "key": "message-1"})

    assert (reply.status, reply.code) == (409, "key_reused")
    assert await EventRecord.objects.filter(stream=world.host.stream_id, key="message-1").acount() == 1


async def test_somebody_elses_key_is_not_taken_over(caller: Caller, world: World, ben: User) -> None:
    await api.in_thread(grant, world, "ben", "chat")
    other = await api.in_thread(Caller.of, ben)
    await caller.post(MESSAGES, {"payload": "a", "key": "message-1"})

    reply = await other.post(MESSAGES, {"payload": "b", "key": "message-1"})

    assert (reply.status, reply.code) == (409, "key_taken")


async def test_a_message_that_is_too_long_is_refused(caller: Caller) -> None:
    reply = await caller.post(MESSAGES, {"payload": "x" * 100_000})

    assert (reply.status, reply.code) == (400, "invalid_input")


async def test_a_stopped_agent_takes_no_message(caller: Caller, world: World) -> None:
    await Entity.objects.filter(pk=world.host.pk).aupdate(state="stopped")

    reply = await caller.post(MESSAGES, {"payload": "x"})

    assert (reply.status, reply.code) == (409, "entity_stopped")


async def test_it_sends_a_signal_and_says_what_came_of_it(caller: Caller) -> None:
    reply = await caller.post(SIGNALS, {"signal": "SIGINT", "reason": "enough"})

    assert (reply.status, reply.json) == (200, {"signal": "SIGINT", "outcome": "nothing was running"})
    assert (await caller.post(SIGNALS, {"signal": "SIGNOT"})).code == "invalid_input"


async def test_who_may_only_look_may_not_talk(world: World, ben: User) -> None:
    await api.in_thread(grant, world, "ben", "view")
    caller = await api.in_thread(Caller.of, ben)

    for path, body in ((MESSAGES, {"payload": "x"}), (SIGNALS, {"signal": "SIGINT"})):
        reply = await caller.post(path, body)
        assert (reply.status, reply.code) == (403, "access_denied")


async def test_strangers_and_missing_agents_get_the_same_answer(world: World, cleo: User) -> None:
    caller = await api.in_thread(Caller.of, cleo)

    for kind, body in (("messages", {"payload": "x"}), ("signals", {"signal": "SIGINT"})):
        hidden = await caller.post(f"/api/agents/debate/host/{kind}", body)
        missing = await caller.post(f"/api/agents/debate/none/{kind}", body)
        assert (hidden.status, missing.status) == (404, 404)
        assert hidden.body.replace(b"host", b"none") == missing.body


async def test_of_many_at_once_one_makes_it_and_the_others_hear_so(caller: Caller) -> None:
    same = [caller.put("/api/agents/assistant/same", {}) for _ in range(20)]
    others = [caller.put(f"/api/agents/assistant/other-{n}", {}) for n in range(20)]

    replies = await asyncio.gather(*same, *others)

    assert sorted(reply.status for reply in replies[:20]) == [201, *[409] * 19]
    assert {reply.status for reply in replies[20:]} == {201}


async def test_a_message_sent_many_times_at_once_arrives_once(caller: Caller) -> None:
    body = {"payload": "hello", "key": "message-1"}

    replies = await asyncio.gather(*(caller.post(MESSAGES, body) for _ in range(20)))

    assert sorted(reply.status for reply in replies) == [*[200] * 19, 201]
    assert len({reply.json["event"]["headers"]["offset"] for reply in replies}) == 1


async def test_a_nul_is_refused_and_its_name_is_not(caller: Caller) -> None:
    refused = await caller.send("POST", MESSAGES, b'{"payload": {"a": "b\\u0000"}}')
    named = await caller.post(MESSAGES, {"payload": "the text \\u0000, and \\\\u0000"})
    agent = await caller.send("PUT", "/api/agents/debate/x", b'{"args": {"a": "\\u0000"}}')

    assert (refused.status, refused.code) == (400, "invalid_input")
    assert named.json["event"]["value"]["payload"] == "the text \\u0000, and \\\\u0000"
    assert (agent.status, agent.code) == (400, "invalid_input")
