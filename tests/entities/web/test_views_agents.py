"""The list of agents, search, and making new ones."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from entities.models import Entity
from entities.types.registry import registry
from shared_state.models import Grant
from tests.entities import making
from tests.entities.web.browsing import Element, parse


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    """A browser of Ada's."""
    registry.store()
    client.force_login(ada)
    return client


def shown(answer: Any) -> Element:
    """The page of an answer, as a tree."""
    return parse(answer.content.decode().replace("<!doctype html>", ""))


def titles(answer: Any) -> list[str]:
    return [line.attributes["data-title"] for line in shown(answer).having("data-line")]


@pytest.mark.parametrize(
    "address",
    ["/", "/agents/", "/agents/new/", "/agents/new/worker/", "/agents/status/", "/assistant/x/", "/shared/"],
)
def test_who_is_not_signed_in_is_asked_to_sign_in(client: Client, db: None, address: str) -> None:
    answer = client.get(address)

    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={address}")


def test_the_home_page_offers_a_chat_with_examples(page: Client) -> None:
    home = shown(page.get("/"))

    assert home.having("data-start")
    assert "Debate: should cities ban private cars?" in [each.text for each in home.having("data-example")]
    assert "No agents yet" in home.text


def test_agents_are_a_tree_with_the_newest_family_first(page: Client, ada: User) -> None:
    old = making.agent(ada, "old", title="Old")
    making.agent(ada, "new", title="New")
    making.agent(ada, "child", type="worker", title="Child", parent=old)

    answer = page.get("/agents/")

    assert titles(answer) == ["New", "Old", "Child"]
    kids = shown(answer).find("kids-_2f_assistant_2f_old")
    assert kids is not None
    assert [line.attributes["data-title"] for line in kids.having("data-line")] == ["Child"]


def test_the_page_follows_the_directory_from_before_what_it_shows(page: Client, ada: User) -> None:
    made = making.agent(ada, "one")

    (feed,) = shown(page.get("/agents/")).having("data-feed", "presence:user:ada")

    assert feed.attributes["data-codec"] == "presence"
    assert feed.attributes["data-after"] == "0000000000000000_0000000000000001"
    assert made.presence.head == 1


def test_staff_sees_and_follows_everybody(client: Client, ada: User, staff: User) -> None:
    making.agent(ada, "hers", title="Hers")
    making.agent(staff, "own", title="Own")
    client.force_login(staff)

    answer = client.get("/agents/")

    assert titles(answer) == ["Own", "Hers"]
    assert {feed.attributes["data-feed"] for feed in shown(answer).having("data-feed")} == {
        "presence:user:ada", "presence:user:staff"
    }  # fmt: skip


def test_a_stranger_sees_nothing(client: Client, ada: User, cleo: User) -> None:
    making.agent(ada, "hers", title="Hers")
    client.force_login(cleo)

    for address in ("/agents/", "/agents/?q=hers", "/agents/status/?url=/assistant/hers"):
        assert "hers" not in client.get(address).content.decode().lower().replace("?q=hers", "").replace(
            'value="hers"', ""
        ).replace("“hers”", "")


def test_who_was_granted_one_agent_sees_that_one(client: Client, ada: User, ben: User) -> None:
    making.agent(ada, "other", title="Other")
    shared = making.agent(ada, "shared", title="Shared")
    Grant.objects.create(stream=shared.stream, principal="user:ben", role="view")
    client.force_login(ben)

    assert titles(client.get("/agents/")) == ["Shared"]


def test_the_number_of_queries_does_not_grow_with_the_agents(
    page: Client, ada: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        root = making.agent(ada, f"root-{number}")
        making.agent(ada, f"child-{number}", type="worker", parent=root)

    with django_assert_max_num_queries(7):  # session, user, roots (own, granted, below), presence, members
        assert len(titles(page.get("/agents/"))) == 24


def test_older_families_are_on_the_next_page(page: Client, ada: User, monkeypatch: Any) -> None:
    monkeypatch.setattr("entities.web.queries.ROOTS", 2)
    for number in range(3):
        making.agent(ada, f"root-{number}", title=f"Root {number}")

    first = page.get("/agents/")
    (older,) = re.findall(r"\?before=\d+", first.content.decode())

    assert titles(first) == ["Root 2", "Root 1"]
    assert titles(page.get(f"/agents/{older}")) == ["Root 0"]


def test_search_finds_by_words_of_title_and_address(page: Client, ada: User) -> None:
    making.agent(ada, "a1", title="Ban private cars")
    making.agent(ada, "a2", title="Private matters")
    making.agent(ada, "cars", title="Other")

    assert titles(page.get("/agents/?q=cars+private")) == ["Ban private cars"]
    assert set(titles(page.get("/agents/?q=cars"))) == {"Ban private cars", "Other"}
    assert "No agent has that" in page.get("/agents/?q=zebra").content.decode()


def test_a_search_says_how_many_match_and_leads_on(page: Client, ada: User, monkeypatch: Any) -> None:
    monkeypatch.setattr("entities.web.queries.FOUND", 2)
    for number in range(5):
        making.agent(ada, f"bee-{number}")

    seen, note, address = [], "", "?q=bee"
    for wanted in ("1 to 2 shown", "3 to 4 shown", "number 5 shown"):
        answer = page.get(f"/agents/{address}")
        (note,) = [each.text for each in shown(answer).having("class", "search-note")]
        assert note.startswith(f"5 found, {wanted} for “bee”.")
        seen += [line.attributes["data-line"] for line in shown(answer).having("data-line")]
        (address,) = re.findall(r"\?q=bee&amp;from=\d+", answer.content.decode()) or [""]
        address = address.replace("&amp;", "&")

    assert (len(seen), len(set(seen)), address) == (5, 5, "")


def test_a_search_counts_up_to_a_bound(page: Client, ada: User, monkeypatch: Any) -> None:
    monkeypatch.setattr("entities.web.census.COUNTED", 3)
    for number in range(4):
        making.agent(ada, f"bee-{number}")

    assert "3+ found" in shown(page.get("/agents/?q=bee")).text
    assert "from=" not in page.get("/agents/?q=bee").content.decode()


def test_a_search_among_many_says_how_many_it_looked_at(page: Client, ada: User, monkeypatch: Any) -> None:
    monkeypatch.setattr("entities.web.search.SEARCHED", 3)
    made = [making.agent(ada, f"bee-{number}") for number in range(3)]
    assert "3 found for" in shown(page.get("/agents/?q=bee")).text
    Grant.objects.create(stream=made[0].stream, principal="user:ada", role="view")
    making.agent(ada, "wasp")
    making.agent(ada, "hornet")

    assert "1 found among 3 searched for" in shown(page.get("/agents/?q=bee-2")).text
    assert "1 found among 3 searched for" in shown(page.get("/agents/?q=bee-0")).text  # it was granted
    assert "0 found among 3 searched for" in shown(page.get("/agents/?q=bee-1")).text


def test_what_is_one_s_own_and_granted_is_counted_once(page: Client, ada: User) -> None:
    made = making.agent(ada, "bee-1")
    Grant.objects.create(stream=made.stream, principal="user:ada", role="view")

    assert shown(page.get("/agents/?q=bee")).having("class", "search-note")[0].text.startswith("1 found for")


def test_typing_into_the_search_fetches_only_the_list(page: Client, ada: User) -> None:
    answer = page.get("/agents/?q=x", headers={"HX-Request": "true", "HX-Target": "agents-region"})

    assert b"<html" not in answer.content
    assert b'id="agents-region"' in answer.content


def test_a_chat_is_an_assistant_with_a_first_message(page: Client, ada: User) -> None:
    answer = page.post("/agents/chat/", {"message": "Hello there", "key": "abc123"})

    assert (answer.status_code, answer["Location"]) == (302, "/assistant/abc123/")
    made = Entity.objects.get(url="/assistant/abc123")
    assert made.owner == "user:ada"
    assert [row.value["payload"] for row in made.stream.rows.filter(type="inbox")] == ["Hello there"]


def test_a_chat_that_is_sent_twice_is_made_once(page: Client) -> None:
    for _ in range(2):
        answer = page.post("/agents/chat/", {"message": "Hello", "key": "abc123"})
        assert answer["Location"] == "/assistant/abc123/"

    assert Entity.objects.count() == 1


def test_a_chat_without_words_is_refused_at_the_field(page: Client) -> None:
    answer = page.post("/agents/chat/", {"message": "  ", "key": "abc123"})

    assert answer.status_code == 400
    assert "Write a message first." in shown(answer).text
    assert not Entity.objects.exists()


def test_what_nobody_heard_of_for_a_while_can_be_asked_for(page: Client, ada: User) -> None:
    alive, dead = making.agent(ada, "alive"), making.agent(ada, "dead")
    making.running(alive, 30)
    making.running(dead, -1)

    found = page.get("/agents/status/?url=/assistant/alive&url=/assistant/dead").json()["agents"]

    assert (found["/assistant/alive"]["status"], found["/assistant/alive"]["overdue"]) == ("running", False)
    assert found["/assistant/dead"]["overdue"]
