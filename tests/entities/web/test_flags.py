"""What styles ask for is said by the page, and by each push alike: no rule looks into an element."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from entities import presence
from entities.models import Entity
from entities.types.registry import registry
from entities.web import live
from shared_state import api
from shared_state.api import NewEvent, StreamInfo
from shared_state.html import boards
from tests.entities import making
from tests.entities.web.browsing import Element, apply, parse
from tests.shared_state.html.test_tables import change, make, put


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    """A browser of Ada's."""
    registry.store()
    client.force_login(ada)
    return client


def opened(page: Client, address: str) -> Element:
    return parse(page.get(address).content.decode().replace("<!doctype html>", ""))


def pushed(root: Element, stream: StreamInfo, since: int) -> None:
    """Bring a page up to date by what happened to a shared state or presence."""
    render = boards.render_board if stream.kind == "shared" else live.render_presence
    apply(root, render(stream, api.read(stream.id, since, 1000)))


def head(path: str) -> int:
    return api.get_stream(path).head


@pytest.mark.parametrize(
    ("address", "empty"),
    [
        ("/agents/", "agent-tree"),
        ("/shared/d/", "rows-"),
        ("/shared/d/?view=board", "board-rows"),
        ("/shared/d/?view=board", "data-drafts"),
    ],
)
def test_what_is_empty_has_no_white_space_in_it(page: Client, address: str, empty: str) -> None:
    """`:empty` is a fact of the markup: a blank would hide what is said in place of a list."""
    make("d")

    html = page.get(address).content.decode()

    assert re.search(rf"<\w+[^>]*\b{empty}\b[^>]*></", html)


def test_a_row_of_a_board_goes_with_its_last_card(page: Client, ada: User) -> None:
    shared = make("d")
    put(shared, "a", round=1)
    put(shared, "b", round=2)
    board, since = opened(page, "/shared/d/?view=board"), head("shared:d")
    change(lambda unit: unit.append(shared.id, [NewEvent("shared:arguments", "b", None, "delete")]))

    pushed(board, api.get_stream("shared:d"), since)

    assert [row.attributes["id"] for row in board.having("class", "board-row")] == [f"boardrow-{shared.id}-1"]
    (shown,), (reloaded,) = (
        board.having("data-board"),
        opened(page, "/shared/d/?view=board").having("data-board"),
    )
    assert shown.html() == reloaded.html()


def test_a_card_of_no_column_makes_no_row(page: Client, ada: User) -> None:
    shared = make("d")
    board, since = opened(page, "/shared/d/?view=board"), head("shared:d")
    put(shared, "a", side="neither")

    pushed(board, api.get_stream("shared:d"), since)

    assert not board.having("class", "board-row")
    assert not opened(page, "/shared/d/?view=board").having("class", "board-row")


@pytest.mark.parametrize(("address", "mark"), [("/agents/", "leaf"), ("/assistant/bot/", "alone")])
def test_a_mark_goes_with_the_first_child(page: Client, ada: User, address: str, mark: str) -> None:
    bot = making.agent(ada, "bot")
    path = presence.path_of("user:ada")
    shown, since = opened(page, address), head(path)
    before = [each.attributes["id"] for each in shown.having("class", mark)]
    making.agent(ada, "helper", type="worker", parent=bot)

    pushed(shown, api.get_stream(path), since)

    assert before == [f"{mark}-_2f_assistant_2f_bot"]
    assert not shown.find(before[0])
    reloaded = opened(page, address).having("class", mark)
    assert [each.attributes["id"] for each in shown.having("class", mark)] == [
        each.attributes["id"] for each in reloaded
    ]


def test_steps_are_summed_up_once_there_is_one(page: Client, ada: User) -> None:
    """And no longer when the last was taken back."""
    bot = making.agent(ada, "bot")
    making.write(bot, making.run("1.0"), run="1.0")

    def replayed(bot: Entity) -> Element:
        root = parse(f'<div id="timeline-{bot.stream_id}"></div>')
        stream = api.get_stream(bot.url)
        apply(root, live.render_timeline(stream, api.read(stream.id, 0, 1000)))
        return root

    shown = [each.attributes["id"] for each in replayed(bot).having("class", "run-steps")]
    assert shown == [f"runtotal-{bot.stream_id}-1.0"]
    assert len(opened(page, "/assistant/bot/").having("class", "run-steps")) == 1

    making.write(bot, [NewEvent("step", "1.0-s1", None, "delete")], run="1.0")
    assert not replayed(bot).having("class", "run-steps")
    assert not opened(page, "/assistant/bot/").having("class", "run-steps")


def test_the_page_says_which_it_is(page: Client, client: Client, ada: User) -> None:
    bot = making.agent(ada, "bot")

    timeline = opened(page, "/assistant/bot/")
    assert timeline.having("class", "timeline-page")
    (said,) = timeline.having("class", "timeline-empty")
    assert said.parent is timeline.find(f"timeline-{bot.stream_id}")
    assert not opened(page, "/assistant/bot/state/").having("class", "timeline-page")

    client.logout()
    assert opened(client, "/accounts/login/").having("class", "sign-in")
