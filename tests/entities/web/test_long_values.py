"""Values that are too long to be shown whole: a page that watched shows what one that is loaded does."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from entities.catalog import log
from entities.models import Entity
from entities.web import live, queries
from shared_state import api
from shared_state.html import boards, excerpt, tables
from shared_state.html.dom import dom_id
from shared_state.html.partials import joined
from tests.entities import making
from tests.entities.web.browsing import Element, apply, parse
from tests.shared_state.html.test_tables import make, put

pytestmark = pytest.mark.django_db(transaction=True)

PIECE = 30_000
LONG = "Some *words* & more of them, as they are written.\n\n" * 4_000


@pytest.fixture
def bot(ada: User) -> Entity:
    return making.agent(ada, "bot")


def page_of(bot: Entity) -> Element:
    rendered, _ = queries.render_window(bot, queries.newest(bot.stream_id), [])
    return parse(f'<div id="timeline-{bot.stream_id}">{rendered}</div>')


def told(page: Element, bot: Entity, after: int) -> None:
    apply(page, live.render_timeline(api.get_stream(bot.url), api.read(bot.stream_id, after)))


def links(page: Element) -> list[str]:
    return [each.attributes["href"] for each in page.having("class", "more-of")]


@pytest.mark.parametrize(
    ("type", "field", "begun"),
    [
        ("text", "content", "streaming"),
        ("reasoning", "content", "streaming"),
        ("tool_call", "args", "started"),
    ],
)
def test_a_long_value_is_the_same_watched_and_loaded(bot: Entity, type: str, field: str, begun: str) -> None:
    value = {"status": begun, "run_id": ""} | (
        {"tool_name": "x", "step": "1.0-s1", "tool_call_id": "k"} if field == "args" else {}
    )
    making.write(bot, [log.new(type, "k", value)])
    page = page_of(bot)

    for start in range(0, len(LONG), PIECE):
        before = api.get_stream(bot.url).head
        delta = {f"{type}_id": "k", "delta": LONG[start : start + PIECE], "start": start, "run_id": ""}
        making.write(bot, [log.new(f"{type}_delta", f"k-{start}", delta)])
        told(page, bot, before)
        assert page.html() == page_of(bot).html()
    assert LONG[: excerpt.TEXT // 2].splitlines()[0] in page.html().replace("<em>", "*").replace("</em>", "*")
    assert len(page.html()) < 2 * excerpt.TEXT

    before = api.get_stream(bot.url).head
    complete = {"text": LONG} if field == "args" else LONG
    making.write(bot, [log.new(type, "k", {**value, "status": "completed", field: complete}, "update")])
    told(page, bot, before)

    assert page.html() == page_of(bot).html()


def test_a_long_row_is_the_same_pushed_and_loaded(client: Client, ada: User) -> None:
    shared = make("d/1")
    put(shared, "a1", "short")
    put(shared, "a1", LONG)
    put(shared, "a2", LONG[9:], side="con")
    spec = api.collections(shared.schema)["arguments"]
    rows = api.rows(shared.id, spec.type)
    stream = api.get_stream(shared.path)
    events = api.read(shared.id)

    found = tables.render_rows(shared.id, spec, rows, tables.replaced(shared.id, rows))
    table = parse(f'<table><tbody id="{tables.body_id(shared.id, spec)}"></tbody></table>')
    apply(table, tables.render_table(stream, events))
    (board,) = boards.boards(stream)
    cards = parse(f'<div id="{dom_id("boardrows", shared.path)}"></div>')
    apply(cards, boards.render_board(stream, events))

    assert joined(html for _, html in found).count("more-of") == 2
    body = f'<tbody id="{tables.body_id(shared.id, spec)}">{joined(html for _, html in found)}</tbody>'
    assert table.html() == parse(f"<table>{body}</table>").html()
    rendered = boards.newest(board, shared.id).rows
    assert cards.html() == parse(f'<div id="{board.rows_id}">{rendered}</div>').html()
    client.force_login(ada)
    for address in {*links(table), *links(cards)}:
        assert "as they are written." in client.get(address).content.decode()


def test_a_page_of_long_items_goes_on_with_the_earlier_ones(bot: Entity) -> None:
    """Nothing is lost between two pages, and nothing comes twice but the run that both lie in."""
    making.write(bot, making.run("1.0")[:1])
    for n in range(12):
        value = {"run_id": "1.0", "status": "completed", "content": LONG}
        making.write(bot, [log.new("text", f"t{n}", value)])
    found, _ = queries.render_window(bot, queries.newest(bot.stream_id), [])
    shown, before = queries.render_window(bot, queries.newest(bot.stream_id), [])
    seen = [n for n in range(12) if f'id="{dom_id("text", bot.stream_id, f"t{n}")}"' in found]
    assert 1 <= len(seen) < 12
    assert shown == found

    while before is not None:
        puts, before = queries.earlier(bot, before)
        texts = [put.target for put in puts if put.target.startswith("text-")]
        seen = [n for n in range(12) if dom_id("text", bot.stream_id, f"t{n}") in texts] + seen

    assert seen == list(range(12))
