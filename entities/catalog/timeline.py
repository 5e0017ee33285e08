"""The timeline as values: what rows and events become on an agent's page. Pure, no Django.

A row read from the database and the event that wrote it carry the same value, so both go through `fact`
and `items` and come out alike: replaying a log shows what reloading the page shows.

An item has the id of its element and of the element that it lies in; every id names the stream, so that two
timelines may stand on one page. A run is a shell with a body that
others lie in; once it is there it is never replaced, only its foot is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared_state.html.dom import dom_id

if TYPE_CHECKING:
    from shared_state.core.types import Event, Row

TYPES = (
    "inbox",
    "run",
    "step",
    "text",
    "reasoning",
    "tool_call",
    "error",
    "wake",
    "signal",
    "manifest",
    "entity_created",
    "entity_stopped",
)
"""Types of rows that are rendered."""

DELTAS = {
    "text_delta": ("textraw", "text_id"),
    "reasoning_delta": ("reasoningraw", "reasoning_id"),
    "tool_call_delta": ("toolraw", "tool_call_id"),
}
"""Types of pieces: the kind of element that they are appended to, and the field that names its row."""

KINDS = {
    "inbox": "msg",
    "run": "run",
    "step": "step",
    "text": "text",
    "reasoning": "reasoning",
    "tool_call": "tool",
    "error": "error",
    "wake": "wake",
    "signal": "signal",
    "manifest": "child",
    "entity_created": "created",
    "entity_stopped": "stopped",
}
"""Type of event → kind of DOM id."""

_MARKS = re.compile(r"\*\*|`|(?<!\w)\*(?=\w)|(?<=[\w.!?])\*(?!\w)|^[#>\s]+", re.MULTILINE)
"""Marks of markdown that say nothing in one line."""

PARTIAL = frozenset({"streaming", "started"})
"""Statuses of rows whose content is still in deltas."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A row or an event, reduced to what rendering needs. `created` is `None` if it was there before."""

    stream: int
    type: str
    key: str
    value: Mapping[str, Any]
    run: str
    created: int | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """An element: which template renders it, its id, where it lies and in which order."""

    stream: int
    template: str
    id: str
    parent: str
    order: str
    data: dict[str, Any]
    insert: bool = True
    """False: replace it if it is there, never add it."""
    raw: str = ""
    """What the deltas of a partial text add up to."""

    def shells(self) -> list[Item]:
        """What must be there before it: a run says how many steps it took once it has taken one."""
        if self.template != "step" or not self.insert:
            return []
        run = self.data["run_id"]
        total, end = dom_id("runtotal", self.stream, run), dom_id("runend", self.stream, run)
        return [Item(self.stream, "run_steps", total, end, "", {"key": run})]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to append to an element; `start` is the number of characters before it."""

    target: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Gone:
    """An element to remove."""

    target: str


@dataclass(slots=True)
class Node:
    """An item of a page with what lies in it, by the id of the container."""

    item: Item
    inside: dict[str, list[Node]] = field(default_factory=dict)


def of_row(row: Row) -> Fact:
    """A row as it is."""
    return Fact(row.stream, row.type, row.key, row.value, row.provenance.run, row.created)


def of_event(event: Event) -> Fact:
    """What an event says. Only an insert knows the place of its row; an update leaves it where it is."""
    created = event.offset if event.operation == "insert" else None
    deleted = event.operation == "delete"
    return Fact(event.stream, event.type, event.key, event.value, event.provenance.run, created, deleted)


def timeline_id(stream: int) -> str:
    """The id of the element that holds everything at the top level."""
    return dom_id("timeline", stream)


def order_of(created: int | None) -> str:
    """A key that sorts bytewise like the offset; empty if the place does not change."""
    return f"{created:016d}" if created is not None else ""


def changes(fact: Fact) -> list[Item | Piece | Gone]:
    """What a fact changes on the page, in order."""
    if fact.type in DELTAS:
        kind, field_name = DELTAS[fact.type]
        value = fact.value
        return [Piece(dom_id(kind, fact.stream, value[field_name]), value["delta"], value.get("start", 0))]
    if fact.type not in KINDS:
        return []
    if fact.deleted:
        return [Gone(dom_id(KINDS[fact.type], fact.stream, fact.key))]
    found = item(fact)
    if found is None:
        return []
    if fact.type == "run":
        # The shell keeps its body if it is there already, so its foot is always sent along.
        return [found, run_foot(fact)]
    return [*found.shells(), found]


def item(fact: Fact, raw: str = "") -> Item | None:
    """The element that a row is rendered as, or `None` if it is not."""
    value = fact.value
    if fact.type == "wake" and value.get("reason") == "inbox":
        return None
    if fact.type == "manifest" and value.get("kind") not in {"child", "source", "shared-state"}:
        return None
    template = {"manifest": f"manifest_{value.get('kind', '')}".replace("-", "_")}.get(fact.type, fact.type)
    kind = KINDS[fact.type]
    return Item(
        stream=fact.stream,
        template=template,
        id=dom_id(kind, fact.stream, fact.key),
        parent=_parent(fact),
        order=order_of(fact.created),
        data={**value, "key": fact.key, "event_type": fact.type},
        insert=fact.created is not None,
        raw=raw,
    )


def run_foot(fact: Fact) -> Item:
    """The changing part of a run: its status, duration and provider."""
    target, data = dom_id("runfoot", fact.stream, fact.key), {**fact.value, "key": fact.key}
    return Item(fact.stream, "run_foot", target, "", "", data, insert=False)


def _parent(fact: Fact) -> str:
    run = fact.value.get("run_id") or (fact.run if fact.type == "manifest" else "")
    if fact.type == "step":
        return dom_id("runsteps", fact.stream, run)
    in_run = run and fact.type != "run"
    return dom_id("runitems", fact.stream, run) if in_run else timeline_id(fact.stream)


def partial_rows(rows: Iterable[Row]) -> list[Row]:
    """Rows whose content is still in deltas."""
    kinds = {"text", "reasoning", "tool_call"}
    return [row for row in rows if row.type in kinds and row.value.get("status") in PARTIAL]


def joined(deltas: Iterable[Event]) -> dict[tuple[str, str], str]:
    """What deltas add up to, by the type and key of their row; one that is missing leaves a mark as long."""
    texts: dict[tuple[str, str], list[str]] = {}
    lengths: dict[tuple[str, str], int] = {}
    for event in deltas:
        name = DELTAS[event.type][1]
        owner, piece = (event.type.removesuffix("_delta"), event.value[name]), event.value["delta"]
        pieces, length = texts.setdefault(owner, []), lengths.get(owner, 0)
        if (start := event.value.get("start", 0)) > length:
            pieces.append("…".ljust(start - length))
            length = start
        pieces.append(piece)
        lengths[owner] = length + len(piece)
    return {owner: "".join(pieces) for owner, pieces in texts.items()}


def missing_runs(rows: Sequence[Row]) -> set[str]:
    """Runs that rows of a window belong to and that began before the window."""
    there = {row.key for row in rows if row.type == "run"}
    facts = [of_row(row) for row in rows]
    wanted = {
        fact.value.get("run_id") or (fact.run if fact.type == "manifest" else "")
        for fact in facts
        if fact.type != "run"
    }
    return {run for run in wanted if run} - there


def tree(rows: Iterable[Row], raws: Mapping[tuple[str, str], str]) -> list[Node]:
    """The page of some rows: what lies at the top level, each with what lies in it.

    Rows whose container is not among them are left out: they come with it when earlier rows are loaded.
    """
    nodes: list[Node] = []
    for row in sorted(rows, key=lambda row: row.created):
        found = item(of_row(row), raws.get((row.type, row.key), ""))
        if found is not None:
            nodes.append(Node(found))
    shells = {node.item.data["key"]: node for node in nodes if node.item.template == "run"}
    containers = {
        dom_id(kind, shell.item.stream, key): (shell, kind)
        for key, shell in shells.items()
        for kind in ("runitems", "runsteps")
    }
    top = []
    for node in nodes:
        parent = node.item.parent
        if parent == timeline_id(node.item.stream):
            top.append(node)
        elif parent in containers:
            shell, kind = containers[parent]
            shell.inside.setdefault(kind, []).append(node)
    return top


def main_argument(args: Mapping[str, Any] | None) -> str:
    """The argument that says most about a call: the one people look for first.

    >>> main_argument({"limit": 5, "query": "bees"})
    'bees'
    """
    if not args:
        return ""
    preferred = (
        "path",
        "file",
        "query",
        "command",
        "url",
        "topic",
        "question",
        "text",
        "message",
        "prompt",
        "task",
        "title",
        "name",
        "content",
        "key",
        "id",
    )
    for name in preferred:
        if isinstance(args.get(name), str) and args[name].strip():
            return _one_line(args[name])
    for value in args.values():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return _one_line(str(value))
    return ""


def _one_line(text: str) -> str:
    return " ".join(_MARKS.sub("", text).split())
