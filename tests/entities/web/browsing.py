"""A page without a browser: HTML as a tree, and changes applied to it as patch.js applies them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from shared_state.html.changes import Change, Drop, Grow, Put, Text

VOID = {"br", "hr", "img", "input", "link", "meta"}


@dataclass(eq=False)
class Element:
    """An element with its attributes, and what lies in it: elements and text."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)
    parent: Element | None = None

    def walk(self) -> Iterator[Element]:
        """This element and everything below it."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def find(self, ident: str) -> Element | None:
        """The element with an id."""
        return next((each for each in self.walk() if each.attributes.get("id") == ident), None)

    def having(self, attribute: str, value: str | None = None) -> list[Element]:
        """The elements with an attribute (and its value, or a class among others)."""
        return [
            each
            for each in self.walk()
            if attribute in each.attributes and (value is None or value in each.attributes[attribute].split())
        ]

    @property
    def text(self) -> str:
        """All text, blanks folded."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return re.sub(r"\s+", " ", " ".join(parts)).strip()

    def html(self) -> str:
        """The element as HTML, attributes sorted, blanks between elements dropped."""
        attributes = "".join(f' {name}="{value}"' for name, value in sorted(self.attributes.items()))
        inner = "".join(child if isinstance(child, str) else child.html() for child in self._shown())
        return f"<{self.tag}{attributes}>{inner}</{self.tag}>\n"

    def _shown(self) -> Iterator[Element | str]:
        """Children with adjacent texts joined and layout's blanks folded."""
        waiting = ""
        for child in self.children:
            if isinstance(child, str):
                waiting += child
                continue
            if waiting.strip():
                yield waiting
            waiting = ""
            yield child
        if waiting.strip():
            yield waiting


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, parent=self._open[-1])
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Element:
    """HTML as a tree. Fails if an element is not closed where it should be."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert parser._open == [parser.root], f"<{parser._open[-1].tag}> is not closed"
    return parser.root


def apply(page: Element, changes: Iterable[Change]) -> None:
    """What patch.js does with changes."""
    for change in changes:
        target = page.find(change.target)
        if isinstance(change, Put):
            _put(page, target, change)
        elif isinstance(change, Text) and target is not None:
            _append(target, change)
        elif isinstance(change, Grow) and target is not None:
            _grow(target, change)
        elif isinstance(change, Drop) and target is not None and target.parent is not None:
            _drop(target, target.parent)


def _put(page: Element, old: Element | None, change: Put) -> None:
    fresh = parse(change.html).children[0]
    assert isinstance(fresh, Element)
    assert fresh.attributes.get("id") == change.target, f"{change.html[:80]} has not the id {change.target}"
    if old is not None:
        _replace(old, fresh, change.order)
        return
    parent = page.find(change.parent) if change.insert else None
    if parent is not None:
        _place(parent, fresh, change.order)


def _drop(element: Element, parent: Element) -> None:
    parent.children.remove(element)
    shell: Element | None = parent
    while shell is not None and "data-drop-empty" not in shell.attributes:
        shell = shell.parent
    if shell is None or shell.parent is None:
        return
    if not any("data-order" in each.attributes for each in shell.walk() if each is not shell):
        shell.parent.children.remove(shell)


def _replace(old: Element, fresh: Element, order: str) -> None:
    if "data-keep" in old.attributes or old.parent is None:
        return
    known = old.attributes.get("data-order")
    if not order and known is not None:
        fresh.attributes["data-order"] = known
    fresh.parent = old.parent
    old.parent.children[old.parent.children.index(old)] = fresh
    if order and known != order:
        _place(old.parent, fresh, order)


def _place(parent: Element, fresh: Element, order: str) -> None:
    parent.children = [
        child for child in parent.children if child is not fresh and not isinstance(child, str)
    ]
    fresh.parent = parent
    at = len(parent.children)
    while at and _order(parent.children[at - 1]) > order:
        at -= 1
    parent.children.insert(at, fresh)


def _order(child: Element | str) -> str:
    return child.attributes.get("data-order", "") if isinstance(child, Element) else ""


def _append(target: Element, change: Text) -> None:
    there = "".join(child for child in target.children if isinstance(child, str))
    have = int(target.attributes.get("data-begin", "0")) + len(there)
    assert change.start <= have, f"a piece of {change.target} is missing before {change.start}"
    target.children = [there + change.text[have - change.start :]]


def _grow(target: Element, change: Grow) -> None:
    tail = next((child for child in _elements(target) if "data-tail" in child.attributes), None)
    if tail is None:
        return  # it is complete
    raw = tail.having("data-raw")[0]
    begin, text = int(raw.attributes["data-begin"]), "".join(map(str, raw.children))
    if 0 <= change.begin <= begin:
        return  # it has grown so far already
    blocks = [child for child in _elements(target) if child is not tail]
    fresh = _elements(parse(change.html))
    more = len(blocks) - change.keep
    assert more == 0 or (change.begin < 0 < more), "it has other blocks"
    blocks = blocks[: change.keep]
    if change.into:
        _holder(blocks[-1]).children += _holder(fresh.pop(0)).children
    if change.begin < 0:
        target.children = [*blocks, *fresh]
        target.attributes["class"] = "text prose"
        target.attributes["data-finished"] = ""
        return
    if change.tail:
        tail = _elements(parse(change.tail))[0]
        raw = tail.having("data-raw")[0]
    raw.attributes["data-begin"] = str(change.begin)
    assert change.begin <= begin + len(text), "what is whole was never written"
    raw.children = [text[change.begin - begin :]]
    target.children = [*blocks, *fresh, tail]
    for child in (*fresh, tail):
        child.parent = target


def _holder(block: Element) -> Element:
    """What holds the items of a list, or the rows of a table."""
    return next((each for each in block.walk() if each.tag == "tbody"), block)


def _elements(parent: Element) -> list[Element]:
    return [child for child in parent.children if isinstance(child, Element)]
