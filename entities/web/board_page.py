"""The page of a board that an agent's type declares: the shared state, and everybody who writes into it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import OuterRef, Subquery
from django.urls import reverse
from django.utils.safestring import SafeString

from entities.catalog import partial_text
from entities.catalog.timeline import order_of
from entities.models import Entity
from entities.web import census, panel, queries
from entities.web.queries import Feed
from shared_state.api import (
    CollectionSpec,
    Json,
    Principal,
    Row,
    StreamInfo,
    StreamNotFound,
    collections,
    format_offset,
    get_stream,
    may,
    read,
    row,
    row_of,
)
from shared_state.html import boards
from shared_state.html.boards import Board
from shared_state.html.dom import dom_id
from shared_state.html.partials import joined
from shared_state.models import RowRecord, Stream

PARTICIPANTS = 30
"""How many children are shown as participants at the most."""
RECENT_CALLS = 8
"""How many of each participant's newest tool calls are looked through for unfinished ones."""

NOTHING_WRITTEN = "Nothing has been written yet. Cards appear here while the agents write them."


@dataclass(frozen=True, slots=True)
class BoardPage:
    """Everything that the template shows."""

    title: str
    host: str
    board: Board
    rows: SafeString | str
    shown: int
    whole_url: str
    """Where earlier cards are, if there are more than are shown."""
    parts: dict[str, SafeString]
    participants: SafeString
    participants_id: str
    cut: str
    """How many take part, in words, if there are more than are shown."""
    pools: SafeString
    """What the participants are writing; the script shows it where it belongs."""
    pools_id: str
    feeds: list[Feed]
    nothing: str
    """What the board says while it is empty."""
    shared: SafeString
    """Follows the shared state, and leads to it; empty while that is not made yet."""


def board_page(principal: Principal, agent: Entity, number: int) -> BoardPage | None:
    """The board with a number among those that the agent's type declares, or `None`."""
    declared = panel.hints(agent.type)
    if number >= len(declared):
        return None
    hint, status = declared[number]
    shared = shared_stream(principal, agent, hint)
    board = board_for(hint, agent.url, shared)
    feeds = [Feed(agent.url, "panel", format_offset(agent.stream.head))]
    cards, whole_url, feed = boards.Cards(), "", panel.render_feed(agent.stream_id)
    if shared is not None:
        name = shared.path.removeprefix("shared:")
        feed = panel.render_feed(agent.stream_id, name, format_offset(shared.head))
        cards = boards.newest(board, shared.id)
        whole_url = reverse("shared_state:shared", args=[name]) if cards.is_cut else ""
    everybody = queries.children(principal, agent)
    children = list(everybody.select_related("stream")[: PARTICIPANTS + 1])
    participants, pools = cast_of(agent, children[:PARTICIPANTS])
    return BoardPage(
        title=str(hint.get("title") or "Board"),
        host=str(hint.get("host") or "moderator"),
        board=board,
        rows=cards.rows,
        shown=cards.count,
        whole_url=whole_url,
        parts=_parts(agent, number, status, shared.id if shared else 0),
        participants=participants,
        cut=census.count(everybody) if len(children) > PARTICIPANTS else "",
        participants_id=dom_id("participants", agent.stream_id),
        pools=pools,
        pools_id=dom_id("pools", agent.stream_id),
        feeds=feeds,
        nothing=NOTHING_WRITTEN,
        shared=feed,
    )


def shared_stream(principal: Principal, agent: Entity, hint: Mapping[str, Any]) -> StreamInfo | None:
    """The shared state that a hint names, if it is there and may be read."""
    try:
        found = get_stream(f"shared:{panel.shared_id(hint, agent.url)}")
    except StreamNotFound:
        return None
    return found if may(principal, "read", found) else None


def board_for(hint: Json, url: str, shared: StreamInfo | None) -> Board:
    """The board of a hint, with the collection as the shared state stores it once it is there."""
    name = str(hint.get("collection", ""))
    spec = collections(shared.schema).get(name) if shared else None
    spec = spec or CollectionSpec(name, f"shared:{name}")
    path = f"shared:{panel.shared_id(hint, url)}"
    board = boards.board_of(path, replace(spec, board={**hint, **spec.board}))
    return board or Board(path, spec, "", (), "", "text")


def cast_of(agent: Entity, children: Iterable[Entity]) -> tuple[SafeString, SafeString]:
    """The participants, and a place for each with what it is writing just now. Four queries at the most."""
    members = {each.url: each for each in children}
    entries = _manifest_order(agent.stream_id, members)
    drafts = _drafts(members)
    participants, pools = [], []
    placed = [(order_of(entries.get(each.url, each.stream_id)), each) for each in members.values()]
    for order, member in sorted(placed, key=lambda each: each[0]):
        participants.append(
            panel.render_participant(
                agent.stream_id,
                member.url,
                order,
                status=member.status,
                title=member.title,
                after=format_offset(member.stream.head),
            )
        )
        pools.append(panel.render_pool(member.url, order, drafts.get(member.url, "")))
    return joined(participants), joined([panel.render_pool(agent.url, ""), *pools])


def _manifest_order(stream: int, urls: Iterable[str]) -> dict[str, int]:
    """Where in its parent's log each of some children stands."""
    keys = [f"child:{url}" for url in urls]
    found = RowRecord.objects.filter(stream=stream, type="manifest", key__in=keys)
    return {url.removeprefix("child:"): created for url, created in found.values_list("key", "created")}


def _drafts(members: Mapping[str, Entity]) -> dict[str, SafeString]:
    """What each of the agents is writing, by its address."""
    by_stream = {each.stream_id: url for url, each in members.items()}
    writing: dict[int, list[Row]] = defaultdict(list)
    for record in _recent_calls(list(by_stream)):
        if record.value.get("status") in panel.WRITING:
            writing[record.stream_id].append(row_of(record))
    return {
        by_stream[stream]: panel.render_drafts(
            by_stream[stream], found, partial_text.raws(read, stream, found)
        )
        for stream, found in writing.items()
    }


def _recent_calls(streams: Sequence[int]) -> list[RowRecord]:
    """The newest tool calls of each stream, the newest first. Two queries: which these are, then they."""
    calls = RowRecord.objects.filter(type="tool_call")
    newest = calls.filter(stream=OuterRef("pk")).order_by("-created").values("pk")
    each = [Subquery(newest[n : n + 1]) for n in range(RECENT_CALLS)]
    found = Stream.objects.filter(pk__in=streams).values_list(*each)
    keys = {key for line in found for key in line if key is not None}
    return sorted(calls.in_bulk(keys).values(), key=lambda call: call.pk, reverse=True)


def _parts(agent: Entity, number: int, status: panel.StatusHint | None, shared: int) -> dict[str, SafeString]:
    if status is None:
        return {}
    found = row(agent.stream_id, status.type, status.key)
    return panel.render_parts(agent.stream_id, number, status, found.value if found else {}, shared)
