"""The timeline as values: rows and events become items, without a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from entities.catalog import timeline
from entities.catalog.timeline import Fact, Gone, Item, Piece
from shared_state.api import Event, Provenance, Row

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def row(type: str, key: str, created: int, run: str = "", **value: Any) -> Row:
    return Row(1, type, key, value, created, created, NOW, NOW, Provenance("agent:/assistant/x", run=run))


def event(type: str, key: str, operation: str = "insert", offset: int = 7, **value: Any) -> Event:
    return Event(1, offset, type, key, operation, value, NOW, Provenance("agent:/assistant/x"))


def changed(happened: Event) -> list[Item | Piece | Gone]:
    return timeline.changes(timeline.of_event(happened))


def test_it_places_what_belongs_to_a_run_into_the_run() -> None:
    nodes = timeline.tree(
        [row("inbox", "m", 1), row("run", "1.0", 2), row("step", "1.0-s1", 3, run_id="1.0"),
         row("text", "1.0-s1-b0", 4, run_id="1.0", status="completed"), row("run", "2.0", 5)],
        {},
    )  # fmt: skip

    assert [node.item.id for node in nodes] == ["msg-1-m", "run-1-1.0", "run-1-2.0"]
    inside = nodes[1].inside
    assert [node.item.id for node in inside["runitems"]] == ["text-1-1.0-s1-b0"]
    assert [node.item.id for node in inside["runsteps"]] == ["step-1-1.0-s1"]


def test_it_orders_by_creation_whatever_the_order_of_the_rows() -> None:
    nodes = timeline.tree([row("inbox", "late", 9), row("run", "1.0", 4), row("inbox", "early", 2)], {})

    assert [node.item.id for node in nodes] == ["msg-1-early", "run-1-1.0", "msg-1-late"]


def test_it_leaves_out_what_lies_in_a_run_that_is_not_there() -> None:
    assert timeline.tree([row("text", "t", 4, run_id="1.0")], {}) == []


def test_it_names_the_runs_that_a_window_lacks() -> None:
    rows = [
        row("text", "t", 4, run_id="1.0"),
        row("run", "2.0", 5),
        row("manifest", "child:/w/x", 6, run="0.0"),
    ]

    assert timeline.missing_runs(rows) == {"1.0", "0.0"}


def test_a_child_lies_in_the_run_that_spawned_it() -> None:
    found = timeline.item(timeline.of_row(row("manifest", "child:/worker/x", 3, run="1.0", kind="child")))

    assert found is not None
    assert (found.parent, found.template) == ("runitems-1-1.0", "manifest_child")


@pytest.mark.parametrize(
    ("type", "value"), [("wake", {"reason": "inbox"}), ("manifest", {"kind": "schedule"})]
)
def test_it_does_not_draw_what_says_nothing(type: str, value: dict[str, Any]) -> None:
    assert timeline.item(Fact(1, type, "k", value, "", 1)) is None


def test_a_run_that_changes_keeps_its_body() -> None:
    shell, foot = changed(event("run", "1.0", "update", status="completed"))

    assert isinstance(shell, Item)
    assert isinstance(foot, Item)
    assert not shell.insert
    assert (foot.id, foot.insert) == ("runfoot-1-1.0", False)


def test_an_update_does_not_say_where_its_item_lies() -> None:
    (inserted,) = changed(event("text", "t", run_id="1.0", status="streaming"))
    (updated,) = changed(event("text", "t", "update", run_id="1.0", status="completed"))

    assert isinstance(inserted, Item)
    assert isinstance(updated, Item)
    assert (inserted.order, inserted.insert) == ("0000000000000007", True)
    assert (updated.order, updated.insert) == ("", False)


@pytest.mark.parametrize(
    ("type", "owner", "target"),
    [
        ("text_delta", "text_id", "textraw-1-k"),
        ("reasoning_delta", "reasoning_id", "reasoningraw-1-k"),
        ("tool_call_delta", "tool_call_id", "toolraw-1-k"),
    ],
)
def test_a_delta_is_a_piece_of_its_text(type: str, owner: str, target: str) -> None:
    given: dict[str, Any] = {owner: "k", "delta": "lo", "start": 3}

    assert changed(event(type, "k-d3", **given)) == [Piece(target, "lo", 3)]


def test_what_was_deleted_is_gone() -> None:
    """A step that was cut off is taken back before it is written anew."""
    assert changed(event("tool_call", "1.0-s1-b0", "delete")) == [Gone("tool-1-1.0-s1-b0")]


def test_it_ignores_what_the_timeline_does_not_show() -> None:
    assert changed(event("state:notes", "a")) == []
    assert changed(event("tags", "title", value="T")) == []


def test_deltas_add_up_by_their_text() -> None:
    deltas = [
        event("text_delta", "a-d0", text_id="a", delta="Hel", start=0),
        event("tool_call_delta", "a-d0", tool_call_id="a", delta="{", start=0),
        event("text_delta", "a-d1", text_id="a", delta="lo", start=3),
    ]

    assert timeline.joined(deltas) == {("text", "a"): "Hello", ("tool_call", "a"): "{"}


def test_only_what_is_partial_needs_its_deltas() -> None:
    rows = [
        row("text", "a", 1, status="streaming"), row("text", "b", 2, status="completed"),
        row("tool_call", "c", 3, status="started"), row("tool_call", "d", 4, status="executing"),
        row("run", "1.0", 5, status="started"),
    ]  # fmt: skip

    assert [found.key for found in timeline.partial_rows(rows)] == ["a", "c"]


@pytest.mark.parametrize(
    ("args", "main"),
    [
        ({"limit": 5, "query": "bees"}, "bees"),
        ({"number": 5, "deep": {"a": 1}}, "5"),
        ({"text": "**Bold**\n\n> and `code`"}, "Bold and code"),
        ({"flag": True}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_it_finds_the_argument_that_matters(args: dict[str, Any] | None, main: str) -> None:
    assert timeline.main_argument(args) == main
