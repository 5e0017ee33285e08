"""What surrounds a board on an agent's page: topic, phase, ruling, who takes part, what is being written.

The board itself shows a shared state (`shared_state.html.boards`). This part follows agents' own
logs: the host's, for its status row and its children, and each participant's, for arguments that are still
being written.
Nothing here knows debates: a type declares a board, see `StatusHint`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from entities.catalog.timeline import order_of
from entities.models import EntityType
from entities.web import addresses
from shared_state.api import (
    CollectionSpec,
    Event,
    Json,
    Row,
    StreamInfo,
    StreamNotFound,
    collections,
    format_offset,
    get_stream,
)
from shared_state.html import inline
from shared_state.html.boards import card_id
from shared_state.html.changes import Change, Drop, Put, Text
from shared_state.html.dom import dom_id
from shared_state.html.excerpt import LINE, LONG, first, named, newest_within, piece
from shared_state.html.partials import joined, partial
from shared_state.html.whole import Source, shown
from shared_state.live.codecs import codec

WRITES = "write_"
"""Tools that write into a shared collection are named so; the rest of the name is the collection's."""
WRITING = frozenset({"started", "args_complete", "executing"})
BEGINNING = format_offset(0)
DRAFT = 8_000
"""Characters of a card that is still written; a card that is complete shows no more."""
DRAFTS = 20_000
"""Bytes of HTML that what an agent is writing may have on a board's page."""
_CITED = re.compile(r"\[([A-Za-z0-9][A-Za-z0-9_.-]{0,63}(?:\s*,\s*[A-Za-z0-9][A-Za-z0-9_.-]{0,63})*)\]")


@dataclass(frozen=True, slots=True)
class StatusHint:
    """Which row of the host's state says where things stand, and the names of its fields."""

    type: str
    key: str
    topic: str
    phase: str
    ruling: str
    winner: str
    cites: str
    phases: tuple[str, ...]
    sides: tuple[str, ...]

    @classmethod
    def of(cls, hint: Mapping[str, Any], specs: Mapping[str, CollectionSpec]) -> StatusHint | None:
        """The hint's `status` part, if its collection exists."""
        status = hint.get("status") or {}
        spec = specs.get(str(status.get("collection", "")))
        if spec is None:
            return None
        parts = ("topic", "phase", "ruling", "winner", "cites")
        names = {part: str(status.get(part, part)) for part in parts}
        return cls(
            type=spec.type,
            key=str(status.get("key", "current")),
            phases=tuple(str(phase) for phase in status.get("phases") or ()),
            sides=tuple(str(side) for side in hint.get("column_values") or ()),
            **names,
        )


def hints(type_name: str) -> list[tuple[Json, StatusHint | None]]:
    """The boards that a type declares, each with its status row. One query."""
    found = EntityType.objects.filter(name=type_name).values_list("boards", "state_schemas").first()
    if found is None:
        return []
    boards, schemas = found
    specs = collections(schemas)
    return [(hint, StatusHint.of(hint, specs)) for hint in boards if hint.get("kind") == "board"]


@codec("panel")
def render_panel(stream: StreamInfo, events: Sequence[Event]) -> list[Change]:
    """The host's status and children, and the drafts of whoever writes. A few queries, for any batch."""
    found: list[Change] = []
    declared = _Declared(stream.path)
    for event in events:
        if event.type.startswith("state:"):
            found += _status(stream, event, declared)
        elif event.type == "manifest":
            found += _manifest(stream, event, declared)
        elif event.type == "tool_call":
            found += _draft(stream, event)
        elif event.type == "tool_call_delta":
            target = dom_id("draftraw", stream.id, event.value["tool_call_id"])
            start = event.value.get("start", 0)
            if text := piece(event.value["delta"], start, DRAFT):
                found.append(Text(target, text, start))
    return found


class _Declared:
    """The boards of a host, looked up once for all events of a batch, and only if one of them asks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._shared: dict[int, int] = {}

    @cached_property
    def boards(self) -> list[tuple[Json, StatusHint | None]]:
        """Each with its status row."""
        return hints(self._path.split("/")[1])

    def shared(self, number: int) -> int:
        """The stream that the board with a number shows; see `shared_number`."""
        if number not in self._shared:
            self._shared[number] = shared_number(self.boards[number][0], self._path)
        return self._shared[number]


def _status(stream: StreamInfo, event: Event, declared: _Declared) -> list[Change]:
    found: list[Change] = []
    value = {} if event.operation == "delete" else event.value
    for number, (_, hint) in enumerate(declared.boards):
        if hint is None or (hint.type, hint.key) != (event.type, event.key):
            continue
        parts = render_parts(stream.id, number, hint, value, declared.shared(number))
        found += [
            Put(part_id(part, stream.id, number), "", "", html, insert=False) for part, html in parts.items()
        ]
    return found


def part_id(part: str, host: int, number: int) -> str:
    """The id of a part of the panel above a host's board with a number."""
    return dom_id(part, host, number)


def render_parts(
    host: int, number: int, hint: StatusHint, value: Mapping[str, Any], shared: int
) -> dict[str, SafeString]:
    """What the host's status row says, by part. `shared`: the stream that the board shows."""
    topic, phase, ruling = (part_id(part, host, number) for part in ("topic", "phase", "ruling"))
    source = Source(host, hint.type, hint.key)
    return {
        "topic": _render_topic(topic, hint, value, source),
        "phase": _render_phase(phase, hint, value),
        "ruling": _render_ruling(ruling, hint, value, source, shared),
    }


def _render_topic(target: str, hint: StatusHint, value: Mapping[str, Any], source: Source) -> SafeString:
    """What it is about."""
    topic = shown(str(value.get(hint.topic) or ""), LINE, source, hint.topic)
    return partial("entities/board/topic.html", {"id": target, "topic": topic})


def _render_phase(target: str, hint: StatusHint, value: Mapping[str, Any]) -> SafeString:
    """The phases, with the present one marked."""
    now = named(str(value.get(hint.phase) or (hint.phases[0] if hint.phases else "")))
    at = hint.phases.index(now) if now in hint.phases else -1
    phases = [
        {"name": name, "state": "now" if n == at else "past" if n < at else "to-come", "now": n == at}
        for n, name in enumerate(hint.phases)
    ]
    context = {"id": target, "phases": phases, "now": now, "over": at == len(hint.phases) - 1}
    return partial("entities/board/phase.html", context)


def _render_ruling(
    target: str, hint: StatusHint, value: Mapping[str, Any], source: Source, shared: int
) -> SafeString:
    """What came of it; the cards that it cites are links."""
    ruling = shown(str(value.get(hint.ruling) or ""), LONG, source, hint.ruling)
    html = cited(inline.prose(ruling.text), shared) if ruling.text else ""
    winner, cites = named(str(value.get(hint.winner) or "")), value.get(hint.cites)
    keys = [named(str(key)) for key in first(cites)] if isinstance(cites, list) else []
    side = hint.sides.index(winner) + 1 if winner in hint.sides else 0
    context = {
        "id": target,
        "ruling": mark_safe(html),  # noqa: S308  sanitised, then only links added
        "more": ruling.more,
        "winner": winner,
        "winner_css": f"winner side-{side}" if side else "winner",
        "cites": [{"key": key, "id": card_id(shared, key)} for key in keys],
    }
    return partial("entities/board/ruling.html", context)


def cited(html: str, shared: int) -> str:
    """Sanitised HTML with `[a1]` and `[a1, a2]` as links to those cards of a stream; code is left alone.

    >>> cited("<p>See [a1].</p>", 7)
    '<p>See <a class="cite" href="#card-7-a1">a1</a>.</p>'
    """

    def links(found: re.Match[str]) -> str:
        keys = [key.strip() for key in found[1].split(",")]
        return " ".join(f'<a class="cite" href="#{card_id(shared, key)}">{escape(key)}</a>' for key in keys)

    parts = re.split(r"(<pre>.*?</pre>|<code.*?</code>|<a .*?</a>|<[^>]*>)", html, flags=re.DOTALL)
    # What was split at stands at odd places: tags, and whole elements that stay as they are.
    return "".join(part if n % 2 else _CITED.sub(links, part) for n, part in enumerate(parts))


def shared_id(hint: Mapping[str, Any], url: str) -> str:
    """The id of the shared state that a hint shows, for the agent at `url`."""
    return str(hint.get("shared", "")).replace("{url}", url)


def shared_number(hint: Mapping[str, Any], url: str) -> int:
    """The number of that shared state's stream; 0, which is no stream's, while it is not made."""
    try:
        return get_stream(f"shared:{shared_id(hint, url)}").id
    except StreamNotFound:
        return 0


def render_feed(host: int, shared: str = "", after: str = BEGINNING) -> SafeString:
    """What makes the page of a host follow the shared state; empty until that is made."""
    context = {"id": dom_id("boardfeed", host), "shared": shared, "after": after}
    return partial("entities/board/feed.html", context)


def _manifest(stream: StreamInfo, event: Event, declared: _Declared) -> list[Change]:
    if event.value.get("kind") == "child":
        return _participant(stream, event)
    made = event.value.get("id") if event.value.get("kind") == "shared-state" else None
    if not made or event.operation == "delete":
        return []
    wanted = {shared_id(hint, stream.path) for hint, _ in declared.boards}
    html = render_feed(stream.id, made)
    return [Put(dom_id("boardfeed", stream.id), "", "", html, insert=False)] if made in wanted else []


def _participant(stream: StreamInfo, event: Event) -> list[Change]:
    url = str(event.value["url"])
    target = participant_id(stream.id, url)
    if event.operation == "delete":
        return [Drop(target)]
    inserted = event.operation == "insert"
    order = order_of(event.offset if inserted else None)
    html, pool = render_participant(stream.id, url, order), render_pool(url, order)
    return [
        Put(target, dom_id("participants", stream.id), order, html, inserted),
        Put(pool_id(url), dom_id("pools", stream.id), order, pool, inserted),
    ]


def participant_id(host: int, url: str) -> str:
    """The id of somebody who takes part on a host's board."""
    return dom_id("participant", host, url)


def pool_id(url: str) -> str:
    """The id of the place in which what an agent writes waits until the script knows where it belongs.

    It is made of the agent's address: the host, which announces the agent, knows no more of it.
    """
    return dom_id("drafts", url)


def render_pool(url: str, order: str, drafts: SafeString | str = "") -> SafeString:
    """The place for what an agent writes, with what it is writing now."""
    return partial("entities/board/pool.html", {"id": pool_id(url), "order": order, "drafts": drafts})


def render_participant(
    host: int, url: str, order: str, *, status: str = "", title: str = "", after: str = BEGINNING
) -> SafeString:
    """One who takes part; the page follows its log from `after` on, to see it write."""
    context = {
        "id": participant_id(host, url),
        "order": order,
        "url": url,
        "status": status,
        "title": title or url.removeprefix("/"),
        "after": after,
    }
    return partial("entities/board/participant.html", context)


def _draft(stream: StreamInfo, event: Event) -> list[Change]:
    if not str(event.value.get("tool_name", "")).startswith(WRITES):
        return []
    target = dom_id("draft", stream.id, event.key)
    if event.operation == "delete" or event.value["status"] not in WRITING:
        return [Drop(target)]
    inserted = event.operation == "insert"
    if not inserted and event.value.get("args") is None:
        return []
    order = order_of(event.offset if inserted else None)
    html = render_draft(stream.id, stream.path, event.key, event.value, order)
    return [Put(target, pool_id(stream.path), order, html, inserted)]


def render_draft(
    stream: int, agent: str, key: str, value: Mapping[str, Any], order: str, raw: str = ""
) -> SafeString:
    """A card that is being written: the script reads its text out of the JSON, finished or not."""
    if value.get("args") is not None:
        raw = orjson.dumps(value["args"]).decode()
    context = {
        "id": dom_id("draft", stream, key),
        "raw_id": dom_id("draftraw", stream, key),
        "pool": pool_id(agent),
        "raw": piece(raw, 0, DRAFT),
        "agent": agent,
        "page": addresses.page(agent),
        "order": order,
        "collection": str(value["tool_name"]).removeprefix(WRITES),
        "tool": dom_id("tool", key),
    }
    return partial("entities/board/draft.html", context)


def render_drafts(agent: str, rows: Iterable[Row], raws: Mapping[tuple[str, str], str]) -> SafeString:
    """What an agent is writing now: its unfinished calls of writing tools."""
    writing = (
        row
        for row in rows
        if row.value.get("status") in WRITING and str(row.value.get("tool_name", "")).startswith(WRITES)
    )

    def html(row: Row) -> SafeString:
        raw = raws.get(("tool_call", row.key), "")
        return render_draft(row.stream, agent, row.key, row.value, order_of(row.created), raw)

    newest = sorted(writing, key=lambda row: row.created)
    return joined(each for _, each in newest_within(newest, html, DRAFTS))
