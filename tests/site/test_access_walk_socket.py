"""Everybody tries every operation and every live codec of the socket on what is Ada's."""

from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User

from shared_state.api import NewEvent, Provenance, append, in_thread
from shared_state.models import Grant, Stream
from tests.shared_state.live.feeding import Page
from tests.site.caller import ORIGIN, Caller
from tests.site.walking import FOLLOW, ROLES, SOCKET
from tests.site.world import SECRET, World, build, grant

SIGN_IN = 4401


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def people(world: World, ada: User, ben: User, cleo: User, staff: User) -> dict[str, User]:
    return {"cleo": cleo, "viewer": ben, "chatter": ben, "ada": ada, "staff": staff}


def socket(caller: Caller, origin: bytes = ORIGIN) -> Page:
    from agents_site.asgi import application

    cookies = "; ".join(f"{name}={value}" for name, value in caller.cookies.items())
    headers = [(b"host", b"testserver"), (b"origin", origin), (b"cookie", cookies.encode())]
    return Page(application, "/live/", headers=headers)


async def opened(role: str, world: World, people: dict[str, User]) -> Page:
    if role in ("viewer", "chatter"):
        await in_thread(grant, world, "ben", {"viewer": "view", "chatter": "chat"}[role])
    page = socket(await in_thread(Caller.of, people[role]))
    assert (await page.connect())[0]
    return page


async def answer(page: Page, frame: dict[str, Any]) -> tuple[str, str]:
    """The code (or the op) of the answer, and all that was said up to it."""
    await page.say(**frame)
    said = ""
    while True:
        heard = await page.hear()
        said += repr(heard)
        if heard["op"] == "patch":
            continue
        return str(heard.get("code") or heard["op"]), said


async def test_nobody_is_sent_away_before_being_asked_anything(world: World) -> None:
    page = socket(Caller())
    await page.connect()

    closed = await page.receive_output(5)

    assert (closed["type"], closed["code"]) == ("websocket.close", SIGN_IN)


async def test_a_foreign_page_is_refused_whoever_sits_before_it(world: World, ada: User) -> None:
    caller = await in_thread(Caller.of, ada)

    for origin in (b"http://evil.example", b"null", b""):
        page: WebsocketCommunicator = socket(caller, origin)
        assert (await page.connect())[0] is False


@pytest.mark.parametrize("role", ROLES[1:])
async def test_the_operations(role: str, world: World, people: dict[str, User]) -> None:
    page = await opened(role, world, people)
    before = {stream.path: stream.head async for stream in Stream.objects.filter(owner="user:ada")}
    wrong = []
    for frames in SOCKET.values():
        for frame in frames:
            got, said = await answer(page, frame.frame)
            if got != frame.answers[role]:
                wrong.append(f"{role}: {frame.frame} was answered {got}, not {frame.answers[role]}")
            if role == "cleo" and SECRET in said:
                wrong.append(f"{role}: {frame.frame} showed Ada's text")

    assert wrong == []
    after = {stream.path: stream.head async for stream in Stream.objects.filter(owner="user:ada")}
    assert (after == before) is (role in ("cleo", "viewer"))
    await page.disconnect()


@pytest.mark.parametrize("codec", FOLLOW)
async def test_a_stranger_hears_nothing_of_what_happens(
    codec: str, world: World, people: dict[str, User]
) -> None:
    page = await opened("cleo", world, people)
    await answer(page, FOLLOW[codec])

    await append(world.host.stream_id, [_note(world)], provenance=Provenance("user:ada"))

    assert await page.receive_nothing(0.3)
    await page.disconnect()


@pytest.mark.parametrize("codec", FOLLOW)
async def test_its_owner_hears_it(codec: str, world: World, people: dict[str, User]) -> None:
    page = await opened("ada", world, people)
    await page.say(**FOLLOW[codec])

    patch = await page.hear_op("patch")

    assert SECRET in repr(patch["changes"])
    await page.disconnect()


async def test_an_expired_grant_ends_a_feed(world: World, people: dict[str, User], monkeypatch: Any) -> None:
    from shared_state.live.consumers import LiveConsumer

    monkeypatch.setattr(LiveConsumer, "recheck_seconds", 0.1)
    page = await opened("viewer", world, people)
    await answer(page, FOLLOW["timeline"])
    await Grant.objects.all().adelete()

    error = await page.hear_op("error")

    assert error["code"] == "stream_not_found"
    await append(world.host.stream_id, [_note(world)], provenance=Provenance("user:ada"))
    assert await page.receive_nothing(0.3)
    await page.disconnect()


def _note(world: World) -> NewEvent:
    return NewEvent("state:status", "walk", {"key": "walk", "value": world.text})
