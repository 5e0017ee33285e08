"""A text in markdown while it is written: what is whole as HTML, the rest as it came. No Django here.

A text is cut where a block at its top level ends, or an item of a list, or a row of a table, and every piece
is rendered once, by itself. Where the cuts are follows from the lines of the text alone, whatever pieces it
came in: so a page that watched it grow shows what a page that is loaded in the middle does. It may differ a
little from the text as a whole, which is rendered when it is complete: a link may be defined further down.

What a cut costs on its way to a page is held down: there are no more of them than the text can pay for.
"""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass, replace
from typing import Self

from shared_state.html import foreign, pages

CUT, ROWS, SHELL = 60, 140, 250
"""Bytes that a cut adds to what is sent; one between rows of a table; and a block of code that begins."""
FREE, SHARE = 300, 5
"""Cuts may add so many bytes, and one more for so many characters of the text."""

_FENCE = re.compile(r" {0,3}(?:(?P<ticks>`{3,})(?P<info>[^`\n]*)|(?P<tildes>~{3,})(?P<words>[^\n]*))\n")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t\n]")
_QUOTE = re.compile(r" {0,3}>")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}\n")
_ITEM = re.compile(
    r"(?P<indent> {0,3})(?:(?P<bullet>[-+*])|(?P<number>\d{1,9})(?P<dot>[.)]))(?P<gap>[ \t]+|(?=\n))"
)
_DELIMITERS = re.compile(r" {0,3}(?=[^\n]*\|)\|?(?:[ \t]*:?-+:?[ \t]*\|)*(?:[ \t]*:?-+:?[ \t]*)?\n")
_HEAD = re.compile(r"<thead>.*?</thead>\n", re.DOTALL)
_LIST_BEGINS = re.compile(r"<(ul|ol)[^>]*>\n")
_TABLE_ENDS = "</tbody>\n</table></div>\n"


@dataclass(frozen=True, slots=True)
class Step:
    """What a cut changes: blocks follow those `keep` that there are, what is being written begins later."""

    keep: int
    html: str
    into: bool
    """The first block is what comes next in the last one there is: items of a list, or rows of a table."""
    begin: int
    """Where the content of what is being written begins, in characters."""
    language: str | None
    """What a block of code that is being written says of itself, maybe nothing; `None` for anything else."""
    new_tail: bool
    """Whether another kind of thing is being written from here on."""


class Growing:
    """A text so far. It is never changed by `more`: that gives another."""

    def __init__(self) -> None:
        self.blocks: tuple[str, ...] = ()
        """The HTML of what is whole."""
        self.rest = ""
        """The text after that."""
        self.language: str | None = None
        """What the block of code that is being written says of itself; `None` if it is none."""
        self._cut_at = 0  # where the rest begins, in characters
        self._content = 0  # where in the rest what is shown of it begins: after the line that opens code
        self._seen = 0  # where in the rest the lines begin that were not looked at yet
        self._spent = 0  # what the cuts so far cost
        self._kind = ""  # what the last line belongs to: prose, list, table, code, or nothing that goes on
        self._blank = False  # whether there was an empty line before it
        self._line = ""  # the last line that was not empty
        self._says = False  # whether there is any in the rest, before the line that is looked at
        self._fence = ""  # what ends the code
        self._marker, self._indent, self._loose = "", 0, False  # of the list
        self._head = ""  # of the table
        self._into = ""  # what the rest goes on with, if it begins within a list or a table
        self._shown = 0  # characters of HTML so far
        self._plain = False  # whether a part of it could not be rendered: the others are then not tried

    @classmethod
    def of(cls, text: str) -> Self:
        """A text from its beginning."""
        return cls().more(text)[0]

    @property
    def length(self) -> int:
        """How many characters there are."""
        return self._cut_at + len(self.rest)

    @property
    def begin(self) -> int:
        """Where what is being written begins."""
        return self._cut_at + self._content

    @property
    def tail(self) -> str:
        """What is being written, as it came."""
        return self.rest[self._content :]

    @property
    def weight(self) -> int:
        """How many characters it holds."""
        return len(self.rest) + sum(map(len, self.blocks))

    def more(self, piece: str) -> tuple[Self, list[Step]]:
        """The text with more of it, and what that changes."""
        grown = copy(self)
        grown.rest += piece
        steps: list[Step] = []
        while "\n" in piece and (end := grown.rest.find("\n", grown._seen) + 1):
            grown._look(grown.rest[grown._seen : end], steps)
        return grown, steps

    def complete(self, text: str) -> Step:
        """What is left to say when the text is complete: no more than `keep` blocks stand."""
        whole = tuple(pages.resolved(html) for html in foreign.blocks(text))
        grown, steps = copy(self), list[Step]()
        grown._says = bool(grown.rest.strip())
        grown._cut(len(grown.rest), steps, needed=True)
        if grown.blocks == whole and steps:
            return replace(steps[0], begin=-1)
        keep = 0
        while keep < min(len(whole), len(self.blocks)) and whole[keep] == self.blocks[keep]:
            keep += 1
        return Step(keep, "".join(whole[keep:]), False, -1, None, new_tail=False)

    # -- line by line

    def _look(self, line: str, steps: list[Step]) -> None:
        """Take the next line, which begins at `_seen`."""
        start = self._seen
        self._seen += len(line)
        words = line.strip()
        if self._kind == "code":
            if words and not words.strip(self._fence[0]) and len(words) >= len(self._fence):
                self._kind = ""
                self._cut(self._seen, steps, needed=self.language is not None)
        elif not words:
            self._blank = True
            if self._kind != "list" and (self._kind or not self._line.startswith("    ")):
                self._kind = ""
                self._cut(self._seen, steps)
        elif not self._goes_on(line):
            self._begin(line, start, steps)
        elif self._kind == "table" and self._seen - self._content >= len(self._head):
            self._says = True
            self._cut(self._seen, steps, into="table")
        if words:
            self._blank, self._line = False, line
            self._says = self._seen > 0  # else it was cut away

    def _goes_on(self, line: str) -> bool:
        """Whether a line belongs to what the line before it does."""
        if self._kind == "list" and _indentation(line) >= self._indent:
            return True
        if not self._kind:
            return line.startswith("    ")
        if self._kind == "list" and self._blank:
            return False
        if any(start.match(line) for start in (_FENCE, _HEADING, _QUOTE)):
            return self._kind == "prose" and self._is_quote(line) and self._is_quote(self._line)
        if _RULE.match(line):
            return self._kind == "prose"  # it may make a heading of it
        if item := _ITEM.match(line):
            # Only what counts from one, and says something, may interrupt a paragraph.
            says = item.end() < len(line) - 1 and item["number"] in (None, "1")
            return self._kind == "prose" and not says
        return not (self._kind == "prose" and "|" in self._line and _DELIMITERS.match(line))

    @staticmethod
    def _is_quote(line: str) -> bool:
        return _QUOTE.match(line) is not None

    def _begin(self, line: str, start: int, steps: list[Step]) -> None:
        """A line that begins something else, or the next item of a list."""
        fence, item = _FENCE.match(line), None if _RULE.match(line) else _ITEM.match(line)
        if fence is None and self._kind == "prose" and "|" in self._line and _DELIMITERS.match(line):
            self._kind, self._head = "table", self._line + line
            return  # what it begins with is a line back: it is not cut off from what stands before
        if fence is not None:
            self._begin_code(fence, start, steps)
        elif item is not None:
            self._begin_item(item, start, steps)
        else:
            self._cut(start, steps)
            heading = _HEADING.match(line) is not None
            self._kind = "" if heading else "prose"
            if heading:
                self._says = True
                self._cut(self._seen, steps)

    def _begin_code(self, fence: re.Match[str], start: int, steps: list[Step]) -> None:
        self._kind, self._fence = "code", fence["ticks"] or fence["tildes"]
        if not self._affordable(self._cut_at + start):
            return
        self._spent += SHELL
        cut: list[Step] = []
        self._cut(start, cut, needed=True)
        self.language = (fence["info"] or fence["words"] or "").strip().partition(" ")[0]
        self._content = self._seen
        before = cut[0] if cut else Step(len(self.blocks), "", False, 0, None, new_tail=True)
        steps.append(replace(before, begin=self.begin, language=self.language, new_tail=True))

    def _begin_item(self, item: re.Match[str], start: int, steps: list[Step]) -> None:
        marker = item["bullet"] or item["dot"]
        again = self._kind == "list" and marker == self._marker
        self._loose = again and (self._loose or self._blank)
        self._cut(start, steps, into="list" if again else "")
        gap = len(item["gap"].expandtabs(4))
        self._kind, self._marker = "list", marker
        self._indent = len(item[0]) - len(item["gap"]) + (gap if 1 <= gap <= 4 else 1)

    # -- cutting

    def _affordable(self, at: int) -> bool:
        return self._spent <= FREE + at // SHARE

    def _cut(self, end: int, steps: list[Step], *, into: str = "", needed: bool = False) -> None:
        """Render the rest up to `end`, if the text can pay for it. `into`: what goes on after the cut."""
        if not self._says or not (needed or self._affordable(self._cut_at + end)):
            return
        new, merged = self._rendered(self.rest[:end])
        html, keep = "".join(new), len(self.blocks)
        if merged:
            self.blocks = (*self.blocks[:-1], _joined(self.blocks[-1], new[0]), *new[1:])
        else:
            self.blocks = (*self.blocks, *new)
        was_code, self.language = self.language is not None, None
        self.rest, self._cut_at, self._into = self.rest[end:], self._cut_at + end, into
        self._seen, self._content, self._says = self._seen - end, 0, False
        self._spent += ROWS if into == "table" else CUT
        steps.append(Step(keep, html, merged, self.begin, None, new_tail=was_code))

    def _rendered(self, text: str) -> tuple[list[str], bool]:
        """Blocks of HTML, and whether the first of them goes on with the last one there is."""
        last = self.blocks[-1] if self.blocks else ""
        rows = self._into == "table" and last.endswith(_TABLE_ENDS)
        source = self._head + text if rows else text
        if self._plain:
            return [foreign.as_it_is(text)], False
        new = [pages.resolved(html) for html in foreign.blocks(source, loose=self._loose)]
        self._shown += sum(map(len, new))
        self._plain = self._shown > foreign.MOST or any(map(foreign.is_as_it_is, new))
        if not self._into or not new:
            return new, False
        first = new[0]
        if rows:
            if not first.endswith(_TABLE_ENDS):
                return new[1:], False  # it had no more rows
            return [_HEAD.sub("", first, count=1), *new[1:]], True
        begins = _LIST_BEGINS.match(first)
        return new, bool(begins and last.endswith(f"</{begins[1]}>\n"))


def _indentation(line: str) -> int:
    line = line.expandtabs(4)
    return len(line) - len(line.lstrip(" "))


def _joined(last: str, first: str) -> str:
    """A list or a table with what goes on with it."""
    if begins := _LIST_BEGINS.match(first):
        return last.removesuffix(f"</{begins[1]}>\n") + first[begins.end() :]
    return last.removesuffix(_TABLE_ENDS) + first[first.index("<tbody>") + len("<tbody>\n") :]
