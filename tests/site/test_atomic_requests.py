"""The site with `ATOMIC_REQUESTS`: reading writes nothing, and what people do joins the request."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import reverse

from entities.models import Entity, Wake
from entities.types.registry import registry
from shared_state import api
from shared_state.models import Stream
from tests.site.test_access_walk import admin_paths
from tests.site.walking import PAGES, Visit
from tests.site.world import World, build
from tests.support.statements import statements

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|ALTER|CREATE|DROP)\b", re.IGNORECASE)


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture(autouse=True)
def _atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


@pytest.fixture
def said() -> Iterator[list[str]]:
    with statements() as said:
        yield said


def reading() -> list[Visit]:
    return [visit for visits in PAGES.values() for visit in visits if visit.form is None]


@pytest.mark.parametrize("who", ["fresh", "ada", "nobody"])
def test_no_page_writes(who: str, world: World, ada: User, client: Client, said: list[str]) -> None:
    if who != "nobody":
        client.force_login(ada if who == "ada" else User.objects.create_user("fresh"))
    said.clear()

    for visit in reading():
        for method in (client.get, client.head):
            answer = method(visit.path, visit.query)
            assert answer.status_code < 500, visit.path
            wrote = [statement for statement in said if WRITES.match(statement)]
            assert wrote == [], visit.path

    assert sum(statement.startswith("BEGIN") for statement in said) > len(reading())
    assert not Stream.objects.filter(owner="user:fresh").exists()


def test_no_page_of_the_admin_writes(world: World, staff: User, client: Client, said: list[str]) -> None:
    client.force_login(staff)
    said.clear()

    for path in admin_paths():
        for method in (client.get, client.head):
            assert method(path).status_code < 500, path

    assert [statement for statement in said if WRITES.match(statement)] == []


def test_a_new_users_first_page_is_there(client: Client, ada: User) -> None:
    registry.store()
    client.force_login(ada)

    answer = client.get("/")

    assert answer.status_code == 200
    assert 'data-feed="presence:user:ada"' in answer.content.decode()


def test_people_make_agents_and_talk_to_them(client: Client, ada: User) -> None:
    registry.store()
    client.force_login(ada)

    chat = client.post("/agents/chat/", {"message": "hello", "key": "first0key0001"})
    again = client.post("/agents/chat/", {"message": "hello", "key": "first0key0001"})
    said = client.post(chat["Location"], {"message": "and more", "key": "second0key001"})
    made = client.post("/agents/new/debate/", {"id": "mine", "message": "Debate: x?"})
    taken = client.post("/agents/new/debate/", {"id": "mine", "message": "Debate: x?"})

    assert [answer.status_code for answer in (chat, again, said, made, taken)] == [302, 302, 302, 302, 400]
    assert chat["Location"] == again["Location"] == "/assistant/first0key0001/"
    agent = Entity.objects.get(slug="first0key0001")
    inbox = api.rows(agent.stream_id, "inbox")
    assert [row.value["payload"] for row in inbox] == ["hello", "and more"]
    assert Entity.objects.count() == 2


def test_the_levers_of_the_admin_work(world: World, staff: User, client: Client) -> None:
    client.force_login(staff)
    data = {"index": "0", "action": "wake_now", "_selected_action": [world.host.pk, world.child.pk]}

    page = client.post(reverse("admin:entities_entity_changelist"), data, follow=True).content.decode()

    assert "wake requested" in page
    assert Wake.objects.filter(reason="manual").count() == 2
