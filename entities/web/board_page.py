"""The page of a board that an agent's type declares: the shared state, and everybody who writes into it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from entities.catalog import partial_text, timeline
from entities.models import Entity
from entities.web import panel
from entities.web.queries import Feed, Listed
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
    rows,
)
from shared_state.html import boards
from shared_state.html.boards import Board
from shared_state.html.dom import dom_id
from shared_state.models import RowRecord

PARTICIPANTS = 30
"""How many children are shown as participants at the most."""
RECENT_CALLS = 100
"""How many of the participants' newest tool calls are looked through for unfinished ones."""


@dataclass(frozen=True, slots=True)
class BoardPage:
    """Everything that the template shows."""

    title: str
    host: str
    board: Board
    rows: SafeString
    parts: dict[str, SafeString]
    participants: SafeString
    participants_id: str
    drafts: SafeString
    feeds: list[Feed]
    shared: SafeString
    """Follows the shared state, and leads to it; empty while that is not made yet."""


def board_page(principal: Principal, agent: Entity, number: int, known: list[Listed]) -> BoardPage | None:
    """The board with a number among those that the agent's type declares, or `None`."""
    declared = panel.hints(agent.type)
    if number >= len(declared):
        return None
    hint, status = declared[number]
    shared = shared_stream(principal, agent, hint)
    board = board_for(hint, shared)
    feeds = [Feed(agent.url, "stage", format_offset(agent.stream.head))]
    cards, feed = list[Row](), panel.draw_feed(agent.url)
    if shared is not None:
        feed = panel.draw_feed(agent.url, shared.path.removeprefix("shared:"), format_offset(shared.head))
        cards = rows(shared.id, board.spec.type)
    children = [each for each in known if each["parent"] == agent.url][:PARTICIPANTS]
    participants, drafts = cast_of(agent, children)
    return BoardPage(
        title=str(hint.get("title") or "Board"),
        host=str(hint.get("host") or "moderator"),
        board=board,
        rows=boards.draw_rows(board, cards),
        parts=_parts(agent, number, status),
        participants=participants,
        participants_id=dom_id("participants", agent.url),
        drafts=drafts,
        feeds=feeds,
        shared=feed,
    )


def shared_stream(principal: Principal, agent: Entity, hint: Mapping[str, Any]) -> StreamInfo | None:
    """The shared state that a hint names, if it is there and may be read."""
    try:
        found = get_stream(f"shared:{panel.shared_id(hint, agent.url)}")
    except StreamNotFound:
        return None
    return found if may(principal, "read", found) else None


def board_for(hint: Json, shared: StreamInfo | None) -> Board:
    """The board of a hint, with the collection as the shared state stores it once it is there."""
    name = str(hint.get("collection", ""))
    spec = collections(shared.schema).get(name) if shared else None
    spec = spec or CollectionSpec(name, f"shared:{name}")
    board = boards.board_of(replace(spec, view={**hint, **spec.view}))
    return board or Board(spec, "", (), "", "text")


def cast_of(agent: Entity, children: list[Listed]) -> tuple[SafeString, SafeString]:
    """The participants and what they are writing just now. Three queries at the most."""
    members = {
        each.url: each
        for each in Entity.objects.filter(url__in=[child["url"] for child in children]).select_related(
            "stream"
        )
    }
    entries = _manifest_order(agent.stream_id)
    drawn = []
    for child in children:
        found = members.get(child["url"])
        if found is not None:
            order = timeline.order_of(entries.get(found.url, found.stream_id))
            after = format_offset(found.stream.head)
            drawn.append(
                (
                    order,
                    panel.draw_participant(
                        found.url, order, status=child["status"], title=child["title"], after=after
                    ),
                )
            )
    participants = mark_safe("".join(html for _, html in sorted(drawn)))  # noqa: S308  rendered by templates
    return participants, _drafts(members)


def _manifest_order(stream: int) -> dict[str, int]:
    found = RowRecord.objects.filter(stream=stream, type="manifest", key__startswith="child:")
    return {url.removeprefix("child:"): created for url, created in found.values_list("key", "created")}


def _drafts(members: Mapping[str, Entity]) -> SafeString:
    by_stream = {each.stream_id: url for url, each in members.items()}
    recent = RowRecord.objects.filter(stream__in=by_stream, type="tool_call").order_by("-id")[:RECENT_CALLS]
    writing: dict[int, list[Row]] = defaultdict(list)
    for record in recent:
        if record.value.get("status") in panel.WRITING:
            writing[record.stream_id].append(row_of(record))
    drawn = [
        panel.draw_drafts(by_stream[stream], found, partial_text.raws(read, stream, found))
        for stream, found in writing.items()
    ]
    return mark_safe("".join(drawn))  # noqa: S308  rendered by templates


def _parts(agent: Entity, number: int, status: panel.StatusHint | None) -> dict[str, SafeString]:
    if status is None:
        return {}
    found = row(agent.stream_id, status.type, status.key)
    value = found.value if found else {}
    draws = {"topic": panel.draw_topic, "phase": panel.draw_phase, "ruling": panel.draw_ruling}
    return {part: draw(dom_id(part, agent.url, number), status, value) for part, draw in draws.items()}
