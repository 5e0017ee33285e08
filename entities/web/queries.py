"""What pages about agents show, read from the database: a fixed number of queries each, however long the log.

A cursor is always read before what it stands for: what happens in between is then told twice, which
changes nothing, and never lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.safestring import SafeString

from entities import presence
from entities.catalog import partial_text, timeline
from entities.models import Entity
from entities.web import addresses, census, render
from shared_state.api import (
    Principal,
    Row,
    format_offset,
    granted,
    read,
    row,
    row_of,
    sees_all,
    visible,
    window,
)
from shared_state.html import excerpt
from shared_state.html.changes import Put
from shared_state.html.dom import parse_dom_id
from shared_state.models import RowRecord, Stream

WINDOW = 60
"""How many rows of a timeline are loaded at once."""
MOST_ROWS = 1_500
"""How many rows are loaded at the most to reach one that a link points to."""
ASKED = 100
"""How many agents may be asked for at once by their addresses."""
ROOTS = 40
"""How many families of agents a page lists."""
FAMILY = 300
"""How many members of families, besides those at the top, a page lists at the most."""
FOUND = 50
"""How many results a search shows at once."""

Listed = dict[str, Any]


class Found(NamedTuple):
    """An agent that a list has come to: what the list is sorted by, then who it is."""

    place: Any
    id: int
    stream: int
    presence: int


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
    found: int = 0
    """How many a search has found, of which `agents` are those after the first `skipped`."""
    skipped: int = 0
    among: int | None = None
    """Among how many agents was searched, if not among all."""
    cut: str = ""
    """How many members a family has, in words, if it has more than are listed."""
    after: int = 0
    """After which agent the rest of the family goes on."""
    cut_families: Sequence[Mapping[str, str]] = ()
    """Name and address of each family that has more members than are listed."""

    @property
    def finding(self) -> str:
        """What a search has come to, in words."""
        found = f"{census.in_words(self.found)} found"
        if self.among is not None:
            found += f" among {self.among:,} searched"
        if len(self.agents) in (self.found, 0):
            return found
        first, last = self.skipped + 1, self.skipped + len(self.agents)
        return f"{found}, {first} to {last} shown" if first < last else f"{found}, number {last} shown"

    @property
    def further(self) -> int | None:
        """After how many of what was found the next page goes on."""
        end = self.skipped + FOUND
        return end if end < min(self.found, census.COUNTED) else None

    @property
    def polled(self) -> bool:
        """Whether somebody is shown whose presence may not be followed: the page then asks now and then."""
        followed = {feed.stream for feed in self.feeds}
        return any(agent["presence"] not in followed for agent in self.agents)


def tops_seen(principal: Principal, wanted: Q, limit: int) -> list[Found]:
    """The newest agents without a parent that a principal may see, the newest first.

    One condition for one's own and for what grants lead to would be asked of everybody's agents. So there is
    a query for each, three in all, one for staff.
    """
    tops, me = Entity.objects.filter(wanted), str(principal)
    columns = ("id", "id", "stream_id", "presence_id")
    if sees_all(principal):
        newest = tops.filter(parent=None).order_by("-id")
        return [Found(*each) for each in newest.values_list(*columns)[:limit]]
    # As a range, or PostgreSQL would know the owner to be one, sort by the rest alone, and walk through all.
    own = tops.filter(parent=None, owner__range=(me, me)).order_by("owner", "-id")
    found = {Found(*each) for each in own.values_list(*columns)[:limit]}
    at = granted(principal)
    if not isinstance(at, list) or at:
        # Said so that no index knows these or their order: it would lead through everybody's.
        apart = tops.alias(above=Coalesce("parent_id", 0)).filter(above=0, stream__in=at)
        first = apart.order_by(Coalesce("id", "id").desc()).values_list(*columns)[:limit]
        found.update(Found(*each) for each in first)
    return sorted(found, reverse=True)[:limit]


def families(principal: Principal, before: int | None = None) -> Listing:
    """The newest agents without a parent, each with everybody below it, as far as the list has room.

    Five queries, four for staff; one more for whom something was granted, one if not all can be listed.
    """
    earlier = Q() if before is None else Q(id__lt=before)
    found = tops_seen(principal, earlier, ROOTS + 1)
    shown = found[:ROOTS]
    feeds = presence_feeds(principal, {each.presence for each in shown})
    tops = [each.stream for each in shown]
    # A large family leaves out members of its own and of older ones, not of those that have just begun.
    newest = visible(principal, in_families(tops))
    below = list(newest.values_list("pk", flat=True)[: FAMILY + 1])
    agents = listed(of_streams([*tops, *below[:FAMILY]]))
    cut = _cut_families(principal, tops, below[:FAMILY]) if below[FAMILY:] else []
    before = shown[-1].id if len(found) > ROOTS else None
    return Listing(agents, feeds, before, cut_families=cut)


def in_families(roots: Iterable[Any], kind: str = Stream.Kind.ENTITY) -> QuerySet[Stream]:
    """The streams of a kind below the tops of some families, in the order of the index `stream_family`."""
    # Nobody is below 0, but a database that is told of one family alone sorts by the rest: it may then prefer
    # to walk through everybody's streams by their id.
    below = Stream.objects.filter(kind=kind, root__in=[*roots, 0], root__isnull=False)
    return below.order_by("-root_id", "id")


def of_streams(streams: Sequence[int]) -> QuerySet[Entity]:
    """The agents of some streams, in the order in which they were made."""
    return Entity.objects.filter(stream__in=streams).order_by("stream_id")


def _cut_families(principal: Principal, tops: Sequence[int], shown: Sequence[int]) -> list[dict[str, str]]:
    """Those of some families that have members beside those that are listed. One query."""
    here = Stream.objects.filter(root__gte=OuterRef("stream"), root__lte=OuterRef("stream"))
    below = here.filter(kind=Stream.Kind.ENTITY, root__isnull=False).order_by("-root_id")
    more = visible(principal, below.exclude(pk__in=shown))
    # One member of each is enough, and no join with all of them, which `Exists` might become.
    some = Entity.objects.filter(stream__in=tops).alias(more=Subquery(more.values("pk")[:1]))
    return [
        {"name": agent.title or agent.slug, "url": addresses.address(agent.url, "agent-family")}
        for agent in some.filter(more__isnull=False).order_by("-id")
    ]


def _seen_apart(principal: Principal, agent: Entity) -> list[int] | None:
    """What somebody sees of an agent's family who was not granted all of it; `None`: ask of each member.

    Who was granted a few agents of a large family finds them without a walk through it. No query for owners
    and staff, else one to three.
    """
    root = agent.stream.root_id or agent.stream_id
    if sees_all(principal) or agent.owner == str(principal):
        return None
    at = granted(principal)
    if root in at:
        return None
    # Said so that it begins with what is somebody's own, or was granted, not with the family.
    apart = Stream.objects.filter(kind=Stream.Kind.ENTITY).alias(top=Coalesce("root_id", 0)).filter(top=root)
    own = apart.filter(owner=str(principal)).values_list("pk", flat=True)
    return [*own, *(apart.filter(pk__in=at).values_list("pk", flat=True) if at else ())]


def members(principal: Principal, agent: Entity) -> QuerySet[Stream]:
    """An agent's family but the one at its top, as far as a principal may see it, as streams."""
    family = in_families([agent.stream.root_id or agent.stream_id])
    apart = _seen_apart(principal, agent)
    return visible(principal, family) if apart is None else family.filter(pk__in=apart)


def children(principal: Principal, agent: Entity) -> QuerySet[Entity]:
    """The children of an agent that a principal may see."""
    apart = _seen_apart(principal, agent)
    if apart is not None:
        return Entity.objects.filter(parent=agent, stream__in=apart).order_by("id")
    seen = Exists(visible(principal, Stream.objects.filter(pk=OuterRef("stream"))))
    # As a range, for the reason that `in_families` gives.
    mine = Entity.objects.filter(parent__gte=agent.pk, parent__lte=agent.pk)
    return mine.filter(seen, parent__isnull=False).order_by("parent_id", "id")


def listed(agents: QuerySet[Entity]) -> list[Listed]:
    """Agents as presence describes them, each with its place there."""
    entry = RowRecord.objects.filter(stream=OuterRef("presence_id"), type="agent", key=OuterRef("url"))
    placed = agents.select_related("parent").annotate(place=Subquery(entry.values("created")[:1]))
    return [
        presence.listing(agent, agent.parent.url if agent.parent else None)
        | {"id": agent.pk, "presence": presence.path_of(agent.owner), "place": agent.place or 0}
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


def _sees_top(principal: Principal, agent: Entity) -> bool:
    """Whether somebody sees the agent at the top of another one's family. No query for the owner of a top."""
    if sees_all(principal) or (agent.stream.root_id is None and agent.owner == str(principal)):
        return True
    return visible(principal, Stream.objects.filter(pk=agent.stream.root_id or agent.stream_id)).exists()


def family(principal: Principal, agent: Entity, after: int = 0) -> Listing:
    """An agent's whole family, from its topmost ancestor down: what stands beside its page.

    Four queries, three of a top, and up to three more for whom something was granted. If there are more
    members than are listed, they are counted, and the agent itself is listed in any case: one more. `after`:
    after which member's stream the list begins.
    """
    feeds = presence_feeds(principal, {agent.presence_id})
    everybody = members(principal, agent)
    top = [agent.stream.root_id or agent.stream_id] if _sees_top(principal, agent) else []
    first = [*top, *everybody.values_list("pk", flat=True)[: census.COUNTED + 1]]
    found = first
    if after:
        found = list(everybody.filter(pk__gt=after).values_list("pk", flat=True)[: FAMILY + 1])
    shown = found[:FAMILY]
    if len(found) <= FAMILY:
        return Listing(listed(of_streams(shown)), feeds)
    near = Stream.objects.filter(entity__in=[agent.pk, agent.parent_id or agent.pk])
    beside = [] if after else visible(principal, near).values_list("pk", flat=True)
    agents = listed(of_streams([*shown, *beside]))
    return Listing(agents, feeds, cut=census.in_words(len(first)), after=shown[-1])


def statuses(principal: Principal, urls: Sequence[str]) -> list[Listed]:
    """Agents as they are now: asked for when a lease has run out without news.

    `overdue`: somebody held the lease when it ended, so the work is not done and waits for a worker.
    """
    streams = visible(principal, Stream.objects.filter(path__in=urls[:ASKED]).order_by())
    found = Entity.objects.filter(stream__in=streams).select_related("parent")
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
        limit = min(between[:MOST_ROWS].count() + WINDOW // 2, MOST_ROWS)
    found = newest(agent.stream_id, before, limit)
    found, shown = _within(agent, found, {})
    puts = []
    for each in sorted(found.rows, key=lambda each: each.created):
        if (item := _item(found, each)) is not None:
            puts += [
                Put(one.id, one.parent, one.order, shown.get(one.id) or render.render(one, agent.url))
                for one in (*item.shells(), item)
            ]
    return puts, found.before


def lies_before(agent: Entity, fragment: str, before: int | None) -> bool:
    """Whether the item that a link points to lies before an offset. One query."""
    target = _row_of_fragment(agent.stream_id, fragment) if before is not None else None
    return target is not None and before is not None and target.created < before


def _row_of_fragment(stream: int, fragment: str) -> Row | None:
    types = {kind: type for type, kind in timeline.KINDS.items()}
    try:
        kind, key = parse_dom_id(fragment)
    except ValueError:
        return None
    return row(stream, types[kind], key) if kind in types else None


def unknown(found: Window, known: Iterable[Listed]) -> list[str]:
    """The children that a window names and a list of agents, which may be cut, does not."""
    urls = {each["url"] for each in known}
    named = (each.value.get("url") for each in found.rows if each.type == "manifest")
    return [url for url in named if url and url not in urls]


def render_window(agent: Entity, found: Window, known: Iterable[Listed]) -> tuple[SafeString, int | None]:
    """What a window shows, as far as a page has room for it, and before which offset the next one goes on.

    `known`: agents with their status, as the window names them.
    """
    states = {each["url"]: each["status"] for each in known}
    found, shown = _within(agent, found, states)
    nodes = timeline.tree(found.rows, found.raws)
    return render.render_nodes(nodes, agent.url, states, shown), found.before


def _item(found: Window, row: Row) -> timeline.Item | None:
    return timeline.item(timeline.of_row(row), found.raws.get((row.type, row.key), ""))


def _within(agent: Entity, found: Window, statuses: render.Statuses) -> tuple[Window, dict[str, SafeString]]:
    """The newest of a window that a page has room for, with their runs; and the HTML by id."""
    shown: dict[str, SafeString] = {}

    def html(row: Row) -> SafeString:
        if (item := _item(found, row)) is None:
            return SafeString("")
        shown[item.id] = render.render(item, agent.url, None, statuses)
        return shown[item.id]

    rows = sorted(found.rows, key=lambda row: row.created)
    kept = [row for row, _ in excerpt.newest_within(rows, html)]
    if left := rows[: len(rows) - len(kept)]:
        wanted = timeline.missing_runs(kept)
        runs = [row for row in left if row.type == "run" and row.key in wanted]
        found = Window([*runs, *kept], found.raws, kept[0].created)
    return found, shown
