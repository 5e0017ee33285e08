"""What pages about agents show, read from the database: a fixed number of queries each, however long the log.

A cursor is always read before what it stands for: what happens in between is then told twice, which
changes nothing, and never lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils.safestring import SafeString

from entities import presence
from entities.catalog import partial_text, timeline
from entities.models import Entity
from entities.web import render
from shared_state.api import (
    Principal,
    Row,
    format_offset,
    read,
    row,
    row_of,
    visible,
    window,
)
from shared_state.html.changes import Put
from shared_state.html.dom import parse_dom_id
from shared_state.models import RowRecord, Stream

WINDOW = 60
"""How many rows of a timeline are loaded at once."""
MOST_ROWS = 1_500
"""How many rows are loaded at the most to reach one that a link points to."""
ROOTS = 40
"""How many families of agents a page lists."""
FAMILY = 300
"""How many members of families are listed at the most."""
FOUND = 50
"""How many results a search shows."""

Listed = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Feed:
    """What the page follows: a stream, by a codec, after a cursor."""

    stream: str
    codec: str
    after: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list of agents."""

    agents: list[Listed]
    feeds: list[Feed]
    before: int | None = None

    @property
    def polled(self) -> bool:
        """Whether somebody is shown whose presence may not be followed: the page then asks now and then."""
        followed = {feed.stream for feed in self.feeds}
        return any(agent["presence"] not in followed for agent in self.agents)


def visible_agents(principal: Principal) -> QuerySet[Entity]:
    """The agents that a principal may see."""
    return Entity.objects.filter(stream__in=visible(principal, Stream.objects.order_by()))


def families(principal: Principal, before: int | None = None) -> Listing:
    """The newest agents without a parent, each with everybody below it. Three queries."""
    roots = visible_agents(principal).filter(parent=None).order_by("-id")
    if before is not None:
        roots = roots.filter(id__lt=before)
    feeds = presence_feeds(principal, roots.values("presence_id")[:ROOTS])
    found = list(roots.values_list("id", "stream_id")[: ROOTS + 1])
    shown = found[:ROOTS]
    streams = [stream for _, stream in shown]
    members = visible_agents(principal).filter(Q(stream__in=streams) | Q(stream__root__in=streams))
    agents = listed(members.order_by("id")[: FAMILY + ROOTS])
    return Listing(agents, feeds, shown[-1][0] if len(found) > ROOTS else None)


def search(principal: Principal, words: str) -> Listing:
    """Agents whose title or address contains every word, the most recently active first. Two queries."""
    matches = visible_agents(principal)
    for word in words.split()[:8]:
        matches = matches.filter(Q(title__icontains=word) | Q(url__icontains=word))
    ids = list(matches.order_by("-last_activity_at").values_list("id", "presence_id")[:FOUND])
    feeds = presence_feeds(principal, {presence_id for _, presence_id in ids})
    agents = Entity.objects.filter(id__in=[ident for ident, _ in ids]).order_by("-last_activity_at")
    return Listing(listed(agents), feeds)


def listed(agents: QuerySet[Entity]) -> list[Listed]:
    """Agents as presence describes them, each with its place there."""
    entry = RowRecord.objects.filter(stream=OuterRef("presence_id"), type="agent", key=OuterRef("url"))
    placed = agents.select_related("parent").annotate(place=Subquery(entry.values("created")[:1]))
    return [
        presence.listing(agent, agent.parent.url if agent.parent else None)
        | {"presence": presence.path_of(agent.owner), "place": agent.place or 0}
        for agent in placed
    ]


def presence_feeds(principal: Principal, streams: Iterable[Any] = ()) -> list[Feed]:
    """The presence of those who is shown, and one's own. One query.

    One's own is made with one's first agent; until then the page follows what is still to come.
    """
    me = str(principal)
    mine = Q(path=presence.path_of(me))
    found = Stream.objects.filter(mine | Q(pk__in=streams)).order_by("id")
    feeds = [
        Feed(path, "presence", format_offset(head))
        for path, head in visible(principal, found).values_list("path", "head")
    ]
    if all(feed.stream != presence.path_of(me) for feed in feeds):
        feeds.append(Feed(presence.path_of(me), "presence", format_offset(0)))
    return feeds


def family(principal: Principal, agent: Entity) -> Listing:
    """An agent's whole family, from its topmost ancestor down: what stands beside its page. Two queries."""
    feeds = presence_feeds(principal, {agent.presence_id})
    root = agent.stream.root_id or agent.stream_id
    members = visible_agents(principal).filter(Q(stream=root) | Q(stream__root=root))
    return Listing(listed(members.order_by("id")[:FAMILY]), feeds)


def statuses(principal: Principal, urls: Sequence[str]) -> list[Listed]:
    """Agents as they are now: asked for when a lease has run out without news.

    `overdue`: somebody held the lease when it ended, so the work is not done and waits for a worker.
    """
    found = visible_agents(principal).filter(url__in=urls[:FOUND]).select_related("parent")
    return [
        presence.listing(agent, agent.parent.url if agent.parent else None)
        | {"overdue": agent.lease_expires_at is not None and not presence.lease_held(agent)}
        for agent in found
    ]


# -- the timeline


@dataclass(frozen=True, slots=True)
class Window:
    """Rows of a timeline; `before`: where earlier ones end, or `None` if these are the first."""

    rows: list[Row]
    raws: Mapping[tuple[str, str], str] = field(default_factory=dict)
    before: int | None = None


def newest(stream: int, before: int | None = None, limit: int = WINDOW) -> Window:
    """The newest rows (before an offset), with the runs that they lie in and what is unfinished.

    Two to four queries. A run that began before the window is shown with what the window has of it.
    """
    rows = window(stream, before, limit, timeline.TYPES)
    earlier = rows[0].created if len(rows) == limit else None
    missing = timeline.missing_runs(rows)
    if missing:
        runs = RowRecord.objects.filter(stream=stream, type="run", key__in=missing)
        rows = [*map(row_of, runs), *rows]
    return Window(rows, partial_text.raws(read, stream, rows), earlier)


def earlier(agent: Entity, before: int, until: str = "", limit: int = WINDOW) -> tuple[list[Put], int | None]:
    """Rows before an offset as changes to the page; up to the item `until` if a link points there.

    `until` is what follows the `#` of the link: kind and key of the item, whichever pane shows it.
    """
    if until and (target := _row_of_fragment(agent.stream_id, until)) is not None:
        between = RowRecord.objects.filter(
            stream=agent.stream_id, created__gte=target.created, created__lt=before, type__in=timeline.TYPES
        )
        limit = min(between.count() + WINDOW // 2, MOST_ROWS)
    found = newest(agent.stream_id, before, limit)
    puts = []
    for each in sorted(found.rows, key=lambda each: each.created):
        raw = found.raws.get((each.type, each.key), "")
        item = timeline.item(timeline.of_row(each), raw)
        if item is not None:
            puts += [
                Put(one.id, one.parent, one.order, render.render(one, agent.url))
                for one in (*item.shells(), item)
            ]
    return puts, found.before


def _row_of_fragment(stream: int, fragment: str) -> Row | None:
    types = {kind: type for type, kind in timeline.KINDS.items()}
    try:
        kind, key = parse_dom_id(fragment)
    except ValueError:
        return None
    return row(stream, types[kind], key) if kind in types else None


def render_window(agent: Entity, found: Window, known: Iterable[Listed]) -> SafeString:
    """What a window shows, with the status that each of the agents in it has in `known`."""
    states = {each["url"]: each["status"] for each in known}
    return render.render_nodes(timeline.tree(found.rows, found.raws), agent.url, states)
