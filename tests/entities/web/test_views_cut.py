"""Lists that do not hold everything: they say so, say how many there are, and lead on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from entities.catalog import log
from entities.models import Entity
from entities.types.registry import registry
from entities.web import queries
from shared_state.api import NewEvent, principal_of
from tests.entities import making
from tests.entities.web.browsing import Element, parse


@pytest.fixture
def page(client: Client, ada: User, monkeypatch: Any) -> Client:
    """A browser of Ada's, on a site whose lists are short."""
    monkeypatch.setattr("entities.web.queries.FAMILY", 3)
    registry.store()
    client.force_login(ada)
    return client


@pytest.fixture
def mother(ada: User) -> Entity:
    """An agent with six children, and an older and a younger one that have nobody."""
    making.agent(ada, "older")
    made = making.agent(ada, "mother", title="Mother")
    for number in range(6):
        making.agent(ada, f"kid-{number}", type="worker", parent=made)
    making.agent(ada, "younger")
    return made


def look(page: Client, address: str) -> Element:
    answer = page.get(address)
    assert answer.status_code == 200
    return parse(answer.content.decode().replace("<!doctype html>", ""))


def lines(shown: Element) -> list[str]:
    return [line.attributes["data-line"].rpartition("/")[2] for line in shown.having("data-line")]


def note(shown: Element) -> tuple[str, list[str]]:
    """What is said of what is not there, and where it leads."""
    (found,) = shown.having("class", "cut-note")
    return found.text, [link.attributes["href"] for link in found.having("href")]


def test_a_large_family_hides_no_other(page: Client, mother: Entity) -> None:
    shown = look(page, "/agents/")

    assert lines(shown) == ["younger", "mother", "kid-0", "kid-1", "kid-2", "older"]
    assert note(shown) == ("Not all members are listed of Mother", ["/assistant/mother/family/"])


def test_a_family_that_has_just_begun_is_listed_before_a_large_one(
    page: Client, ada: User, mother: Entity
) -> None:
    child = making.agent(ada, "kid-of-younger", parent=Entity.objects.get(slug="younger"))
    shown = look(page, "/agents/")

    assert lines(shown) == ["younger", child.slug, "mother", "kid-0", "kid-1", "older"]
    assert note(shown) == ("Not all members are listed of Mother", ["/assistant/mother/family/"])


def test_what_is_whole_says_nothing(page: Client, ada: User) -> None:
    made = making.agent(ada, "mother")
    for number in range(2):
        making.agent(ada, f"kid-{number}", type="worker", parent=made)

    for address in ("/agents/", "/assistant/mother/", "/assistant/mother/family/"):
        assert look(page, address).having("class", "cut-note") == []


def test_a_family_beside_an_agent_says_how_many_and_leads_on(page: Client, mother: Entity) -> None:
    making.running(Entity.objects.get(slug="kid-5"), 60)
    shown = look(page, "/worker/kid-4/")

    assert lines(shown) == ["mother", "kid-0", "kid-1", "kid-4"]
    said, (rest,) = note(shown)
    assert said == "The family has 7 members. Further members"
    assert list(further(page, rest)) == [["kid-2", "kid-3", "kid-4"], ["kid-5"]]


def further(page: Client, address: str) -> Iterator[list[str]]:
    """What stands on each of the pages that a list leads to."""
    while address:
        shown = look(page, address)
        yield lines(shown)
        address = note(shown)[1][0] if shown.having("class", "cut-note") else ""


def test_a_family_is_walked_page_by_page(page: Client, mother: Entity) -> None:
    pages = list(further(page, "/assistant/mother/family/"))

    assert pages == [["mother", "kid-0", "kid-1"], ["kid-2", "kid-3", "kid-4"], ["kid-5"]]


def test_members_are_counted_up_to_a_bound(page: Client, mother: Entity, monkeypatch: Any) -> None:
    monkeypatch.setattr("entities.web.census.COUNTED", 5)

    said, _ = note(look(page, "/assistant/mother/"))

    assert said == "The family has 5+ members. Further members"


def test_a_stranger_learns_of_no_family(page: Client, client: Client, mother: Entity, cleo: User) -> None:
    client.force_login(cleo)

    assert client.get("/assistant/mother/family/").status_code == 404
    assert queries.family(principal_of(cleo), mother).cut == ""


def test_the_state_of_an_agent_shows_the_newest_of_each_collection(
    page: Client, ada: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr("entities.web.views.STATE_ROWS", 2)
    bot = making.agent(ada, "bot")
    events = [NewEvent("state:notes", f"n{n}", {"key": f"n{n}", "text": "bee"}, "insert") for n in range(3)]
    making.write(bot, events[:2])
    assert look(page, "/assistant/bot/state/").having("class", "cut-note") == []
    making.write(bot, events[2:])

    shown = look(page, "/assistant/bot/state/")

    assert [row.attributes["data-key"] for row in shown.having("class", "row")] == ["n1", "n2"]
    assert [count.text for count in shown.having("data-count-of")] == ["3"]
    said, (address,) = note(shown)
    assert said == "The newest 2 are shown. All that was written"
    assert len(look(page, address).having("class", "event")) == 3


def test_a_board_says_how_many_take_part_if_it_does_not_show_all(
    page: Client, ada: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr("entities.web.board_page.PARTICIPANTS", 4)
    host = making.agent(ada, "d", type="debate")
    for number in range(4):
        making.agent(ada, f"w{number}", type="worker", parent=host)
    shown = look(page, "/debate/d/board/0/")
    # The family list, which is shorter still, has no say in it.
    assert len(shown.having("class", "participant")) == 5
    assert shown.having("class", "cut-note") == []
    for number in range(4, 6):
        making.running(making.agent(ada, f"w{number}", type="worker", parent=host), 60)

    shown = look(page, "/debate/d/board/0/")

    assert len(shown.having("class", "participant")) == 5
    said, (address,) = note(shown)
    assert said == "6 take part, not all are shown. The family"
    assert address == "/debate/d/family/"


def test_the_timeline_knows_the_state_of_children_that_the_family_list_leaves_out(
    page: Client, mother: Entity
) -> None:
    making.running(Entity.objects.get(slug="kid-5"), 60)
    kids = [{"kind": "child", "url": f"/worker/kid-{n}", "entity_type": "worker"} for n in range(6)]
    making.write(mother, [log.new("manifest", f"child:{kid['url']}", kid) for kid in kids])

    shown = look(page, "/assistant/mother/")

    pills = [mark for child in shown.having("class", "child") for mark in child.having("data-agent")]
    assert [mark.attributes["data-status"] for mark in pills] == ["idle"] * 5 + ["running"]
