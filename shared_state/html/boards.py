"""A collection as a board: columns side by side, one row for each round; rendered as its schema says.

How is stored with the collection (`Collection(..., board={...})`):

    {"kind": "board", "columns": "side", "column_values": ["pro", "con"], "rows": "round", "text": "text"}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString

from shared_state import api
from shared_state.api import CollectionSpec, Event, Json, Provenance, Row, StreamInfo
from shared_state.html.changes import Change, Drop, Put
from shared_state.html.dom import dom_id
from shared_state.html.excerpt import CARD, NAME, first, named, newest_within
from shared_state.html.partials import joined, partial
from shared_state.html.whole import Source, shown
from shared_state.live.codecs import codec

CHIP_CHARACTERS = 40
"""Other short fields of a card are shown as chips; longer ones only in the table."""
CARDS = 300
"""How many cards a board shows, the newest; the table has the earlier ones too."""


@dataclass(frozen=True, slots=True)
class Board:
    """Which field is the column, which the row, which the text; `path` is the stream's, there or to come."""

    path: str
    spec: CollectionSpec
    columns: str
    column_values: tuple[str, ...]
    rows: str
    text: str

    @property
    def rows_id(self) -> str:
        """The id of the element that the rows lie in. It names the path: the stream may be still to come."""
        return dom_id("boardrows", self.path)

    @property
    def headings(self) -> list[dict[str, Any]]:
        """Number and name of each column."""
        return [{"number": n, "value": value} for n, value in enumerate(self.column_values, 1)]


@dataclass(frozen=True, slots=True)
class Card:
    """A row on a board, or what an event made of it."""

    stream: int
    key: str
    value: Json
    provenance: Provenance
    written_at: datetime
    created: int | None


def board_of(path: str, spec: CollectionSpec) -> Board | None:
    """The board that a collection of a stream is to be shown as, or `None`."""
    hint = spec.board
    values = hint.get("column_values") or ()
    if hint.get("kind") != "board" or not hint.get("columns") or not values:
        return None
    return Board(
        path,
        spec,
        str(hint["columns"]),
        tuple(str(value)[:NAME] for value in values),
        str(hint.get("rows") or ""),
        str(hint.get("text") or "text"),
    )


def boards(stream: StreamInfo) -> list[Board]:
    """The boards of a stream, by its stored schema."""
    found = (board_of(stream.path, spec) for spec in api.collections(stream.schema).values())
    return [board for board in found if board is not None]


@dataclass(frozen=True, slots=True)
class Cards:
    """What lies on a board."""

    rows: SafeString | str = ""
    count: int = 0
    is_cut: bool = False
    """Whether there are earlier cards than are shown."""


def newest(board: Board, stream: int) -> Cards:
    """The cards that a board shows: as many of the newest as a page has room for. One query."""
    found = api.window(stream, limit=CARDS + 1, types=[board.spec.type])
    cards = render_cards(board, stream, found[-CARDS:])
    return Cards(render_rows(board, stream, cards), len(cards), len(cards) < len(found))


@codec("board")
def render_board(stream: StreamInfo, events: Sequence[Event]) -> list[Change]:
    """The boards of a shared state."""
    by_type = {board.spec.type: board for board in boards(stream)}
    found: list[Change] = []
    for event in events:
        board = by_type.get(event.type)
        if board is None:
            continue
        if event.operation == "delete":
            found.append(Drop(card_id(stream.id, event.key)))
            continue
        inserted = event.operation == "insert"
        card = Card(
            stream.id,
            event.key,
            event.value,
            event.provenance,
            event.timestamp,
            event.offset if inserted else None,
        )
        row, column = place(board, card)
        if inserted and column in board.column_values:
            target = dom_id("boardrow", stream.id, row)
            found.append(Put(target, board.rows_id, row_order(row), render_row(board, stream.id, row, {})))
        parent, order = cell_id(stream.id, row, column), card_order(card)
        found.append(Put(card_id(stream.id, card.key), parent, order, render_card(board, card), inserted))
    return found


def place(board: Board, card: Card) -> tuple[str, str]:
    """The row and the column that a card lies in."""
    row = card.value.get(board.rows) if board.rows else ""
    return "" if row is None else str(row)[:NAME], str(card.value.get(board.columns))[:NAME]


def card_id(stream: int, key: str) -> str:
    """The id of a card. What cites it links to it."""
    return dom_id("card", stream, key)


def cell_id(stream: int, row: str, column: str) -> str:
    """The id of a place on the board."""
    return dom_id("cell", stream, row, column)


def row_order(row: str) -> str:
    """Rounds by number; other names by the alphabet, after them."""
    return f"0{int(row):012d}" if row.isdecimal() and len(row) <= 12 else f"1{row}"


def card_order(card: Card) -> str:
    """In order of creation; empty if the card is in its place already."""
    return f"{card.created:016d}" if card.created is not None else ""


def render_card(board: Board, card: Card) -> SafeString:
    """A card, alike for the page and for pushes; its other short fields stand on it as chips."""
    used = {board.columns, board.rows, board.text, board.spec.primary_key}
    chips = first(
        {"name": named(name), "value": value}
        for name, value in card.value.items()
        if name not in used and isinstance(value, str | int | float) and len(str(value)) <= CHIP_CHARACTERS
    )
    source = Source(card.stream, board.spec.type, card.key)
    text = shown(str(card.value.get(board.text) or ""), CARD, source, board.text)
    column = place(board, card)[1]
    context = {
        "id": card_id(card.stream, card.key),
        "order": card_order(card),
        "card": card,
        "chips": chips,
        "column": column,
        "text": text,
        "number": column_number(board, column),
    }
    return partial("shared_state/board/card.html", context)


def column_number(board: Board, column: str) -> int:
    """Which column it is, from 1; 0 if it is none of them."""
    return board.column_values.index(column) + 1 if column in board.column_values else 0


def render_row(board: Board, stream: int, row: str, cells: Mapping[str, SafeString]) -> SafeString:
    """A row of the board with what lies in its cells, by column."""
    shown = [
        {"id": cell_id(stream, row, name), "number": number, "name": name, "cards": cells.get(name, "")}
        for number, name in enumerate(board.column_values, 1)
    ]
    label = f"{board.rows.replace('_', ' ').capitalize()} {row}" if row else ""
    target = dom_id("boardrow", stream, row)
    context = {"id": target, "order": row_order(row), "label": label, "cells": shown}
    return partial("shared_state/board/row.html", context)


Rendered = tuple[Card, SafeString]


def render_cards(board: Board, stream: int, rows: Sequence[Row]) -> list[Rendered]:
    """The newest of some rows, which come in order of creation, as cards; those that a page has room for."""
    cards = [Card(stream, row.key, row.value, row.provenance, row.updated_at, row.created) for row in rows]
    return newest_within(cards, lambda card: render_card(board, card))


def render_rows(board: Board, stream: int, cards: Iterable[Rendered]) -> SafeString:
    """Everything that lies on a board."""
    by_row: dict[str, dict[str, list[SafeString]]] = {}
    for card, html in cards:
        row, column = place(board, card)
        if column in board.column_values:
            by_row.setdefault(row, {}).setdefault(column, []).append(html)
    return joined(
        render_row(board, stream, row, {column: joined(found) for column, found in by_row[row].items()})
        for row in sorted(by_row, key=row_order)
    )
