"""How much of a long value is shown, and how much a page holds: the one rule for all of them. No Django here.

A value is cut by itself alone, so a push shows of it what a page does. A page of many takes the newest that
have room, and leads to the earlier ones. What opens a value that was cut is `whole`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeVar

PAGE = 600_000
"""Bytes of HTML that the rows, cards or items of a page may have in all."""
TEXT = 100_000
"""Bytes of a text that is shown for itself: an answer, a message. What is still written ends there, too."""
LONG = 20_000
"""Bytes of JSON that is shown for itself, or of a text beside others."""
CARD = 6_000
"""Bytes of a card's text, and of what went wrong."""
ROW = 2_000
"""Bytes of a table's row, whatever it is made of; what is short gets all it needs."""
LINE = 500
"""Bytes of what stands in a line."""
NAME = 100
"""Characters of a name that somebody else chose."""
MANY = 40
"""How many of what is small are shown: fields of a row, chips of a card, changes that woke an agent."""
LEAST = 40
"""Bytes that a field of a row has in any case."""

R = TypeVar("R")
H = TypeVar("H", bound=str)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text."""

    text: str
    left: int
    """How many characters are left out."""


def size(text: str) -> int:
    """How many bytes a text has in a page."""
    return len(escape(text).encode(errors="replace"))


def excerpt(text: str, room: int) -> Excerpt:
    """As much of a text as has room, in bytes of a page; it ends with a line or a word if one ends nearby.

    >>> excerpt("as short as this", 20)
    Excerpt(text='as short as this', left=0)
    >>> excerpt("a < b and so on, for ever and ever", 20)
    Excerpt(text='a < b and so', left=22)
    """
    part = text[:room]  # no character takes less than a byte
    if (too_long := size(part) > room) is False and len(part) == len(text):
        return Excerpt(text, 0)
    if too_long:
        low, high = 0, len(part)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if size(part[:middle]) <= room else (low, middle - 1)
        part = part[:low]
    nearby = len(part) * 3 // 4
    end = max(part.rfind("\n", nearby), 0) or max(part.rfind(" ", nearby), 0) or len(part)
    return Excerpt(part[:end], len(text) - end)


def shares(sizes: Sequence[int], room: int) -> list[int]:
    """How much of a room each gets: what is small all that it needs, the others equal parts of the rest.

    >>> shares([10, 900, 5_000], 1_000)
    [10, 495, 495]
    """
    found, rest = [0] * len(sizes), room
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    for number, place in enumerate(order):
        found[place] = min(sizes[place], max(LEAST, rest // (len(order) - number)))
        rest -= found[place]
    return found


def newest_within(rows: Sequence[R], render: Callable[[R], H], room: int = PAGE) -> list[tuple[R, H]]:
    """The last of some rows, as many as have room, each with its HTML; one in any case."""
    found: list[tuple[R, H]] = []
    for row in reversed(rows):
        html = render(row)
        room -= len(html.encode(errors="replace"))
        if room < 0 and found:
            break
        found.append((row, html))
    return found[::-1]


def piece(text: str, start: int, most: int = TEXT) -> str:
    """Of a piece of a text that is still written, and has so many characters before it, what is shown."""
    return text[: max(0, most - start)]


def named(text: str) -> str:
    """A name, or the beginning of what is given as one."""
    return text if len(text) <= NAME else f"{text[:NAME]}…"


def first(found: Iterable[R]) -> list[R]:
    """The first of what is small."""
    return [each for _, each in zip(range(MANY), found, strict=False)]
