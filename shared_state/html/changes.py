"""What a codec may change of a page: an element is put, text is appended, an element goes, a text grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Put:
    """Replace the element with id `target`; if there is none and `insert`, add it to the element `parent`.

    The children of `parent` are kept sorted by their `data-order`, compared bytewise.
    """

    target: str
    parent: str
    order: str
    html: str
    insert: bool = True

    def wire(self) -> list[Any]:
        return ["put", self.target, self.parent, self.order, self.html, self.insert]


@dataclass(frozen=True, slots=True)
class Text:
    """Append text to the element with id `target`, which has `start` characters before it."""

    target: str
    text: str
    start: int

    def wire(self) -> list[Any]:
        return ["text", self.target, self.text, self.start]


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove the element with id `target`, if it is there."""

    target: str

    def wire(self) -> list[Any]:
        return ["drop", self.target]


@dataclass(frozen=True, slots=True)
class Grow:
    """Blocks of HTML for the text with id `target`, after the `keep` blocks that it has; see `growing.js`.

    They take the place of what is written before character `begin`. `into`: the first of them is the next
    items of the last list there is, or the next rows of the table. `tail`: the element that what is being
    written stands in, if it is another from now on. With `begin` below 0 nothing is written any more: no more
    than `keep` blocks stay, and the text is complete.
    """

    target: str
    keep: int
    html: str
    into: bool = False
    begin: int = 0
    tail: str = ""

    def wire(self) -> list[Any]:
        return ["grow", self.target, self.keep, self.html, self.into, self.begin, self.tail]


Change = Put | Text | Drop | Grow
