"""Everybody tries every route of the site, the API and the socket on what is Ada's.

Cleo, a stranger, gets refusals and never a byte of Ada's text; nor does anybody who is not signed in.
"""

from typing import Any

import pytest
from django.contrib.auth.models import User

from agents_site.api.routes import ROUTES
from entities.web.consumers import AgentConsumer
from shared_state.api import in_thread
from shared_state.live import codecs
from shared_state.models import Stream
from tests.site.caller import Caller
from tests.site.walking import API, FOLLOW, PAGES, ROLES, SOCKET, Visit, routes
from tests.site.world import SECRET, World, build, grant

STRANGERS = ("nobody", "cleo")
FORM = {"content_type": "application/x-www-form-urlencoded"}


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def callers(world: World, ada: User, ben: User, cleo: User, staff: User) -> dict[str, User | None]:
    return {"nobody": None, "cleo": cleo, "viewer": ben, "chatter": ben, "ada": ada, "staff": staff}


async def caller_for(role: str, world: World, callers: dict[str, User | None]) -> Caller:
    if role in ("viewer", "chatter"):
        await in_thread(grant, world, "ben", {"viewer": "view", "chatter": "chat"}[role])
    return await in_thread(Caller.of, callers[role])


async def heads() -> dict[str, int]:
    """How far each of Ada's logs is."""
    found = Stream.objects.filter(owner="user:ada")
    return {stream.path: stream.head async for stream in found}


def test_every_route_is_in_the_walk() -> None:
    assert sorted(route for route in routes() if not route.startswith("/admin/")) == sorted(PAGES)


def test_every_route_of_the_api_is_in_the_walk() -> None:
    assert {(route.method, route.pattern) for route in ROUTES} == set(API)


def test_every_operation_of_the_socket_is_in_the_walk() -> None:
    operations = {name.removeprefix("op_") for name in dir(AgentConsumer) if name.startswith("op_")}

    assert operations == set(SOCKET)


def test_every_live_view_is_in_the_walk() -> None:
    from entities.web import views  # noqa: F401  the views register themselves with the pages
    from shared_state.html import views as shared_views  # noqa: F401

    assert {name for name in codecs._codecs if name != "every-event"} == set(FOLLOW)


async def visited(caller: Caller, role: str, visit: Visit) -> list[str]:
    """What is wrong with the answer to one visit."""
    query = "&".join(f"{name}={value}" for name, value in visit.query.items())
    kind = {} if visit.form is None else FORM
    reply = await caller.send(visit.method, visit.path, visit.body, query, **kind)
    where = f"{role}: {visit.method} {visit.path}?{query} answered {reply.status}"
    wrong = []
    if reply.status != visit.expected[role]:
        wrong.append(f"{where}, not {visit.expected[role]}")
    found = SECRET.encode() in reply.body
    named = not visit.names_it and b"/debate/host" in reply.body.replace(visit.path.encode(), b"")
    if role in STRANGERS and (found or named):
        wrong.append(f"{where} with Ada's text")
    if visit.shows and role not in STRANGERS and reply.status == 200 and not found:
        wrong.append(f"{where} without Ada's text: the walk would not notice if it leaked")
    if (
        reply.status == 302
        and role == "nobody"
        and not reply.headers["location"].startswith("/accounts/login/")
    ):
        wrong.append(f"{where} to {reply.headers['location']}")
    return wrong


@pytest.mark.parametrize("role", ROLES)
async def test_the_pages(role: str, world: World, callers: dict[str, User | None]) -> None:
    caller = await caller_for(role, world, callers)
    before = await heads()

    wrong = [
        each for visits in PAGES.values() for visit in visits for each in await visited(caller, role, visit)
    ]

    assert wrong == []
    changed = [path for path, head in (await heads()).items() if before.get(path) != head]
    assert changed == [] if role in (*STRANGERS, "viewer") else "/debate/host" in changed


@pytest.mark.parametrize("role", ROLES)
async def test_the_api(role: str, world: World, callers: dict[str, User | None]) -> None:
    caller = await caller_for(role, world, callers)
    before, wrong = await heads(), []

    for (method, _), visits in API.items():
        for visit in visits:
            send: dict[str, Any] = {"GET": caller.get, "PUT": caller.put, "POST": caller.post}
            reply = await (
                send[method](visit.path) if method == "GET" else send[method](visit.path, visit.value)
            )
            if reply.status != visit.expected[role]:
                wrong.append(f"{role}: {method} {visit.path} answered {reply.status}")
            if (SECRET.encode() in reply.body) != (method == "GET" and reply.status == 200):
                wrong.append(f"{role}: {method} {visit.path} should show Ada's text to readers alone")

    assert wrong == []
    changed = [path for path, head in (await heads()).items() if before.get(path) != head]
    assert changed == [] if role in (*STRANGERS, "viewer") else "/debate/host" in changed


ADMIN_ARGUMENTS = {
    "<path:object_id>": "1", "<int:content_type_id>": "1", "<id>": "1", "<app_label>": "auth",
    "(?P<url>.*)$": "x",
    "^(?P<app_label>auth|shared_state|entities)/$": "auth/",
}  # fmt: skip


def admin_paths() -> list[str]:
    paths = []
    for route in routes():
        if route.startswith("/admin/"):
            path = route
            for argument, value in ADMIN_ARGUMENTS.items():
                path = path.replace(argument, value)
            paths.append(path if "(?P" not in path else "/admin/auth/")
    return paths


@pytest.mark.parametrize("role", ROLES)
async def test_the_admin(role: str, world: World, callers: dict[str, User | None]) -> None:
    caller = await caller_for(role, world, callers)
    paths = admin_paths()
    assert len(paths) > 60

    wrong = []
    for path in paths:
        for method in ("GET",) if role == "staff" else ("GET", "POST"):
            reply = await caller.send(method, path, b"", **({} if method == "GET" else FORM))
            if role == "staff":
                fault = reply.status >= 500
            else:
                served = reply.status == 200 and "/login/" not in path
                fault = served or SECRET.encode() in reply.body
            if fault:
                wrong.append(f"{role}: {method} {path} answered {reply.status}")

    assert wrong == []


async def test_staff_find_adas_text_in_the_admin(world: World, staff: User) -> None:
    caller = await in_thread(Caller.of, staff)

    for path in (
        "entities/entity/",
        "shared_state/eventrecord/",
        "shared_state/rowrecord/",
        "entities/wake/",
    ):
        assert SECRET.encode() in (await caller.get(f"/admin/{path}")).body
