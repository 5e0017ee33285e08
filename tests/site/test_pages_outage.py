"""Pages while the database is away: told in time, once, and with nothing left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError

from agents_site import pages
from entities.web import queries
from shared_state.core import outage
from shared_state.core.outage import Outage, Part
from tests.site.caller import Caller

SCOPE = {"type": "http", "path": "/agents/"}


class Database:
    """As the outage sees it."""

    def __init__(self) -> None:
        self.there = True
        self.asked = 0
        self.outage = Outage(Part("database", self.reach))

    def reach(self) -> None:
        self.asked += 1
        if not self.there:
            raise OperationalError("away")


class Pages:
    """An application whose pages wait to be rendered; the page of the outage does not."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.rendered = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status = 503 if pages.AWAY in scope else 200
        if status == 200:
            await self.go_on.wait()
        self.rendered += status == 200
        await send({"type": "http.response.start", "status": status})
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr(pages, "outage", made.outage)
    monkeypatch.setattr(outage, "SLOW_AFTER", 0.01)
    monkeypatch.setattr(outage, "AGAIN", 0.01)
    return made


async def ask(application: Any, path: str = "/agents/") -> list[Any]:
    """What is sent: statuses, and what follows them."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message.get("status", "body"))

    await pages.with_outage(application, "/static/")({**SCOPE, "path": path}, None, send)
    return sent


async def test_who_waits_in_vain_is_told_and_what_is_rendered_later_is_heard_by_nobody(
    database: Database,
) -> None:
    database.there, site = False, Pages()

    sent = await ask(site)
    site.go_on.set()
    await asyncio.wait(pages._left)

    assert sent == [503, "body"]
    assert (site.rendered, pages._left) == (1, set())  # it came to its end, where Django gives back


async def test_nothing_is_begun_while_it_is_known(database: Database) -> None:
    database.there, site = False, Pages()
    await ask(site)
    site.go_on.set()
    await asyncio.wait(pages._left)

    assert [await ask(site) for _ in range(3)] == [[503, "body"]] * 3
    assert site.rendered == 1

    database.there = True
    assert await ask(site) == [200, "body"]


async def test_an_answer_that_has_begun_is_not_cut(database: Database) -> None:
    site = Pages()
    site.go_on.set()
    asking = asyncio.create_task(ask(site))
    await asyncio.sleep(0.02)
    database.there = False

    assert await asking == [200, "body"]


async def test_a_slow_page_is_waited_for(database: Database) -> None:
    site = Pages()
    asking = asyncio.create_task(ask(site))
    while database.asked < 3:
        await asyncio.sleep(0.001)
    site.go_on.set()

    assert await asking == [200, "body"]


async def test_files_are_served_whatever_is_known(database: Database) -> None:
    database.there, site = False, Pages()
    await ask(site)
    site.go_on.set()

    assert await ask(site, "/static/agents/css/base.css") == [200, "body"]


@pytest.fixture
def caller(transactional_db: None, ada: User) -> Caller:
    return Caller.of(ada)


def away(*args: Any, **kwargs: Any) -> Any:
    raise OperationalError("away")


def require_page_of_the_outage(reply: Any) -> None:
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert b"The database does not answer" in reply.body
    assert b"/static/agents/css/base.css" in reply.body
    assert "style-src 'self'" in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] == "no-store"


async def test_a_page_that_the_database_failed_says_so(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "families", away)

    require_page_of_the_outage(await caller.get("/agents/"))


async def test_a_page_of_an_error_that_cannot_ask_who_is_there_says_so(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await caller.get("/not/there/")).status == 404
    monkeypatch.setattr(SessionStore, "load", away)

    require_page_of_the_outage(await caller.get("/not/there/"))


async def test_what_is_known_is_said_without_the_database(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    database.there = False
    database.outage._away_until = asyncio.get_running_loop().time()
    monkeypatch.setattr(SessionStore, "load", away)

    require_page_of_the_outage(await caller.get("/agents/"))
    require_page_of_the_outage(await caller.get("/admin/"))
