"""Shared state on pages: the list, live tables with who changed what, and boards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pydantic import BaseModel

from shared_state import api
from shared_state.api import Collection, Provenance, SharedStateSchema, StreamInfo, Unit
from shared_state.html import tables
from shared_state.html.changes import Drop, Put
from tests.entities.web.browsing import Element, apply, parse

BOARD = {"kind": "board", "columns": "side", "column_values": ["pro", "con"], "rows": "round", "text": "text"}
WORKER = Provenance("agent:/worker/x", run="3.0", tool_call="3.0-s1-c0")


class Argument(BaseModel):
    """As a debate's."""

    key: str
    side: str
    text: str
    round: int


SCHEMA = SharedStateSchema(arguments=Collection(Argument, board=BOARD), loose=Collection())


@pytest.fixture
def shared(ada: User) -> StreamInfo:
    """A shared state of Ada's."""
    return make("d/1")


def make(ident: str, owner: str = "user:ada") -> StreamInfo:
    return api.unit(
        lambda unit: unit.create_stream(f"shared:{ident}", "shared", owner, schema=SCHEMA.to_json()),
        provenance=Provenance(owner),
    )


def change(work: Callable[[Unit], Any]) -> None:
    api.unit(work, provenance=WORKER)


def put(
    shared: StreamInfo,
    key: str,
    text: str = "Because.",
    side: str = "pro",
    round: int = 1,
    of: str = "arguments",
) -> None:
    row = {"key": key, "side": side, "text": text, "round": round}
    change(lambda unit: api.collection.upsert(unit, shared.id, SCHEMA[of], row))


def shown(answer: Any) -> Element:
    return parse(answer.content.decode().replace("<!doctype html>", ""))


def test_the_list_shows_what_changed_last_first(client: Client, ada: User) -> None:
    old, new = make("old"), make("new")
    put(new, "a1")
    put(old, "a1")
    put(old, "a2")
    make("empty")
    client.force_login(ada)

    page = shown(client.get("/shared/"))

    assert [each.text for each in page.having("class", "stream-id")] == ["old", "new", "empty"]
    assert [each.text for each in page.having("class", "counts")][:2] == [
        "arguments 2 loose 0",
        "arguments 1 loose 0",
    ]


def test_the_list_costs_the_same_for_many(
    client: Client, ada: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        put(make(f"s{number}"), "a1")
    client.force_login(ada)

    with django_assert_max_num_queries(6):  # session, user, streams (own, granted, below), counts
        assert len(shown(client.get("/shared/")).having("class", "stream-row")) == 12


def test_a_stranger_gets_what_is_not_there(client: Client, cleo: User, shared: StreamInfo) -> None:
    client.force_login(cleo)

    assert shown(client.get("/shared/")).having("class", "stream-row") == []
    for part in ("", "?view=board", "?part=earlier&before=9"):
        there, nowhere = client.get(f"/shared/d/1/{part}"), client.get(f"/shared/nothing/{part}")
        assert (there.status_code, nowhere.status_code) == (404, 404)
        assert shown(there).text == shown(nowhere).text


def test_a_table_says_who_wrote_each_row(client: Client, ada: User, shared: StreamInfo) -> None:
    put(shared, "a1")
    client.force_login(ada)

    row = shown(client.get("/shared/d/1/")).find(f"row-{shared.id}-shared_3a_arguments-a1")

    assert row is not None
    assert [cell.attributes["data-label"] for cell in row.having("data-label")] == [
        "key", "side", "text", "round", "changed by"
    ]  # fmt: skip
    (author,) = [each for each in row.walk() if each.tag == "a"]
    assert (author.text, author.attributes["href"]) == ("worker/x", "/worker/x/#tool-3.0-s1-c0")


def test_a_changed_cell_says_what_it_was(client: Client, ada: User, shared: StreamInfo) -> None:
    put(shared, "a1", "First.")
    put(shared, "a1", "Second.")
    client.force_login(ada)

    (cell,) = shown(client.get("/shared/d/1/")).having("class", "changed")

    assert cell.attributes["data-label"] == "text"
    assert cell.attributes["tabindex"] == "0"
    (note,) = cell.having("class", "was")
    assert note.text.startswith("First. → Second. by worker/x in run 3.0")


def test_untyped_rows_show_their_fields(client: Client, ada: User, shared: StreamInfo) -> None:
    spec = SCHEMA["loose"]
    change(
        lambda unit: api.collection.insert(
            unit, shared.id, spec, {"key": "k", "deep": {"a": [1]}, "on": True}
        )
    )
    change(lambda unit: api.collection.update(unit, shared.id, spec, "k", {"on": False}))
    client.force_login(ada)

    row = shown(client.get("/shared/d/1/")).find(f"row-{shared.id}-shared_3a_loose-k")

    assert row is not None
    assert '{"a":[1]}' in row.text
    (cell,) = row.having("class", "changed")
    assert cell.text.startswith("no")


def test_changes_put_and_drop_rows(shared: StreamInfo) -> None:
    put(shared, "a1")
    put(shared, "a1", "Other.")
    change(lambda unit: api.collection.delete(unit, shared.id, SCHEMA["arguments"], "a1"))

    inserted, updated, deleted = tables.render_table(shared, api.read(shared.id))

    assert isinstance(inserted, Put)
    assert isinstance(updated, Put)
    assert (inserted.insert, inserted.order, updated.insert, updated.order) == (
        True,
        "0000000000000001",
        False,
        "",
    )
    assert deleted == Drop(f"row-{shared.id}-shared_3a_arguments-a1")


def test_keys_may_be_anything(client: Client, ada: User, shared: StreamInfo) -> None:
    keys = ['"><script>', "a b", "a_b", "ä/ö#?&", "-", "row-1"]
    for key in keys:
        put(shared, key)
    client.force_login(ada)

    page = shown(client.get("/shared/d/1/"))
    rows = page.having("class", "row")

    assert [row.attributes["data-key"] for row in rows] == keys
    assert len({row.attributes["id"] for row in rows}) == len(keys)
    assert not [each for each in rows[0].walk() if each.tag == "script"]


def keys(page: Element) -> list[str]:
    return [row.attributes["data-key"] for row in page.having("class", "row")]


def test_earlier_rows_of_each_collection_come_as_changes(
    client: Client, ada: User, shared: StreamInfo, monkeypatch: Any
) -> None:
    monkeypatch.setattr("shared_state.html.views.ROWS_PAGE", 2)
    for key in ("l0", "l1", "l2"):
        put(shared, key, of="loose")
    for number in range(5):
        put(shared, f"a{number}")
    client.force_login(ada)

    page = shown(client.get("/shared/d/1/"))
    assert keys(page) == ["a3", "a4", "l1", "l2"]
    for button in page.having("data-earlier"):
        before: int | None = int(button.attributes["data-before"])
        while before:
            found = client.get(f"{button.attributes['data-earlier']}&before={before}").json()
            assert len(found["changes"]) in (1, 2)
            apply(page, [Put(*change[1:]) for change in found["changes"]])
            before = found["before"]

    assert keys(page) == ["a0", "a1", "a2", "a3", "a4", "l0", "l1", "l2"]
    assert client.get("/shared/d/1/?part=earlier&of=x&before=9").status_code == 404


def test_what_is_whole_has_no_earlier_rows(
    client: Client, ada: User, shared: StreamInfo, monkeypatch: Any
) -> None:
    monkeypatch.setattr("shared_state.html.views.ROWS_PAGE", 2)
    put(shared, "a1")
    put(shared, "a2")
    client.force_login(ada)

    assert shown(client.get("/shared/d/1/")).having("data-earlier") == []


def test_a_board_aligns_the_rounds_of_both_sides(client: Client, ada: User, shared: StreamInfo) -> None:
    put(shared, "c2", "Late.", "con", 2)
    put(shared, "p1", "**First**", "pro", 1)
    put(shared, "c1", "Answer.", "con", 1)
    client.force_login(ada)

    page = shown(client.get("/shared/d/1/?view=board"))
    rows = page.having("class", "board-row")

    assert [row.having("class", "board-label")[0].text for row in rows] == ["Round 1", "Round 2"]
    cells = [
        [card.attributes["id"] for card in cell.having("class", "card")]
        for cell in rows[0].having("class", "board-cell")
    ]
    assert cells == [[f"card-{shared.id}-p1"], [f"card-{shared.id}-c1"]]
    assert "First" in rows[0].text
    assert "**" not in rows[0].text


def test_a_board_shows_the_newest_and_leads_to_all(
    client: Client, ada: User, shared: StreamInfo, monkeypatch: Any
) -> None:
    monkeypatch.setattr("shared_state.html.boards.CARDS", 2)
    client.force_login(ada)
    for number in range(2):
        put(shared, f"a{number}")
    assert not shown(client.get("/shared/d/1/?view=board")).having("class", "cut-note")
    put(shared, "a2")

    page = shown(client.get("/shared/d/1/?view=board"))
    (note,) = page.having("class", "cut-note")

    assert [card.attributes["data-key"] for card in page.having("class", "card")] == ["a1", "a2"]
    assert note.text == "The newest 2 are shown. All of them"
    assert note.having("href", "/shared/d/1/")


def test_without_a_hint_there_is_no_board(client: Client, ada: User) -> None:
    schema = SharedStateSchema(plain=Collection()).to_json()
    api.unit(
        lambda unit: unit.create_stream("shared:plain", "shared", "user:ada", schema=schema),
        provenance=Provenance("user:ada"),
    )
    client.force_login(ada)

    page = shown(client.get("/shared/plain/?view=board"))

    assert not page.having("class", "board")
    assert "No rows yet" in page.text
