"""What a codec may change of a page: an element is put, text is appended, an element goes. See `patch.js`."""

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


Change = Put | Text | Drop
