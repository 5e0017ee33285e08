"""Codecs of agents' streams: what sockets are told when events happen. Imported when the app is ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString

from entities import presence
from entities.catalog import timeline
from entities.models import EntityType
from entities.web import addresses, render, streaming
from shared_state.api import CollectionSpec, Event, StreamInfo, collections
from shared_state.html import tables
from shared_state.html.changes import Change, Drop, Put, Text
from shared_state.html.dom import dom_id
from shared_state.html.excerpt import piece
from shared_state.html.partials import joined, partial
from shared_state.live.codecs import codec
from shared_state.live.session import personal

_LATEST = 10**15
"""More milliseconds than any time of ours: subtracting from it sorts the newest first."""
_LAST = 10**16
"""More than any offset: subtracting from it sorts the latest first."""


@codec("timeline")
def render_timeline(stream: StreamInfo, events: Sequence[Event]) -> list[Change]:
    """What events of an agent's log change on its timeline."""
    texts = streaming.Batch(stream, events)
    found: list[Change] = []
    for event in events:
        if event.type == "text_delta":
            found += texts.piece(event)
        elif event.type == "text" and (changes := texts.row(event)) is not None:
            found += changes
        else:
            found += _items(stream, event)
    texts.remember()
    return list(merged(found))


def _items(stream: StreamInfo, event: Event) -> Iterator[Change]:
    for change in timeline.changes(timeline.of_event(event)):
        if isinstance(change, timeline.Piece):
            if text := piece(change.text, change.start):
                yield Text(change.target, text, change.start)
        elif isinstance(change, timeline.Gone):
            yield Drop(change.target)
        else:
            html = render.render(change, stream.path)
            yield Put(change.id, change.parent, change.order, html, change.insert)


def merged(changes: Iterable[Change]) -> Iterator[Change]:
    """The same changes with adjacent pieces of one text joined: a reader that catches up gets it in one."""
    waiting: Text | None = None
    for change in changes:
        if waiting is not None:
            if isinstance(change, Text) and _follows(change, waiting):
                waiting = Text(waiting.target, waiting.text + change.text, waiting.start)
                continue
            yield waiting
            waiting = None
        if isinstance(change, Text):
            waiting = change
        else:
            yield change
    if waiting is not None:
        yield waiting


def _follows(text: Text, before: Text) -> bool:
    return text.target == before.target and text.start == before.start + len(before.text)


personal(presence.PREFIX)


@codec("presence")
def render_presence(stream: StreamInfo, events: Sequence[Event]) -> list[Change]:
    """The list of an owner's agents, and every dot that shows one of them."""
    found: list[Change] = []
    for event in events:
        if event.type != "agent":
            continue
        agent = event.value
        if event.operation == "delete":
            found.append(Drop(dom_id("agent", agent["url"])))
            continue
        if event.operation == "insert":
            target = dom_id("agent", agent["url"])
            order = agent_order(agent, event.offset)
            found.append(Put(target, container(agent), order, render_agent(agent, order)))
            if agent.get("parent"):
                # It is no leaf any more, and not alone on its own page.
                found += [Drop(dom_id(mark, agent["parent"])) for mark in ("leaf", "alone")]
        # The row is a shell that keeps the agents below it; only its line changes. It is always sent,
        # because other pages read the agent's status from it.
        found.append(Put(dom_id("line", agent["url"]), "", "", render_line(agent), insert=False))
    return found


def container(agent: Mapping[str, Any]) -> str:
    """The id of the list that an agent stands in."""
    return dom_id("kids", agent["parent"]) if agent.get("parent") else "agents-tree"


def agent_order(agent: Mapping[str, Any], place: int) -> str:
    """Roots: the newest first. Children: in the order in which they were made.

    Agents that one transaction makes share its time. `place`, the offset of an agent's entry in its owner's
    presence stream, tells which came first; time goes before it because a family may have several owners.
    """
    created = int(datetime.fromisoformat(agent["created_at"]).timestamp() * 1000)
    if not agent.get("parent"):
        created, place = _LATEST - created, _LAST - place
    return f"{created:015d}_{place:016d}_{agent['url']}"


def render_agent(agent: Mapping[str, Any], order: str, kids: SafeString | None = None) -> SafeString:
    """The row of an agent, with those below it."""
    context = {
        "id": dom_id("agent", agent["url"]),
        "kids_id": dom_id("kids", agent["url"]),
        "leaf_id": dom_id("leaf", agent["url"]),
        "agent": agent,
        "order": order,
        "line": render_line(agent),
        "kids": kids or "",
    }
    return partial("entities/agents/row.html", context)


def render_line(agent: Mapping[str, Any]) -> SafeString:
    """The changing part of an agent's row."""
    title = agent["title"] or agent["slug"]
    context = {"id": dom_id("line", agent["url"]), "agent": agent, "title": title}
    return partial("entities/agents/line.html", context)


def render_tree(agents: Iterable[Mapping[str, Any]]) -> SafeString:
    """Agents, as `pages.listed` gives them, as a tree; one whose parent is not there stands at the top."""
    by_parent: dict[str, list[Mapping[str, Any]]] = {}
    known = {agent["url"]: agent for agent in agents}
    for agent in known.values():
        parent = agent.get("parent")
        by_parent.setdefault(str(parent) if parent in known else "", []).append(agent)

    def level(parent: str) -> SafeString:
        found = [(agent_order(agent, agent["place"]), agent) for agent in by_parent.get(parent, ())]
        ordered = sorted(found, key=lambda each: each[0])
        return joined(render_agent(agent, order, level(agent["url"])) for order, agent in ordered)

    return level("")


def render_found(agents: Iterable[Mapping[str, Any]]) -> SafeString:
    """Agents as a flat list, in the order given: the result of a search."""
    return joined(render_agent(agent, agent_order(agent, agent["place"])) for agent in agents)


@codec("events")
def render_events(stream: StreamInfo, events: Sequence[Event]) -> list[Change]:
    """The raw log, newest first."""
    return [
        Put(event_id(event), events_id(stream.id), event_order(event), render_event(stream.path, event))
        for event in events
    ]


def events_id(stream: int) -> str:
    """The id of the list of a stream's events."""
    return dom_id("events", stream)


def event_id(event: Event) -> str:
    """The id of an event in that list."""
    return dom_id("event", event.stream, event.offset)


def event_order(event: Event) -> str:
    """The newest first."""
    return f"{_LAST - event.offset:016d}"


def render_event(agent: str, event: Event) -> SafeString:
    """One event of the raw log."""
    context = {
        "url": addresses.event_address(agent, event.offset),
        "event": event,
        "order": event_order(event),
        "id": event_id(event),
    }
    return partial("entities/events/event.html", context)


@codec("state")
def render_state(stream: StreamInfo, events: Sequence[Event]) -> list[Change]:
    """The tables of an agent's own state."""
    return tables.changes(stream.id, state_specs(stream.path), events)


def state_specs(url: str) -> dict[str, CollectionSpec]:
    """The state collections of an agent's type, by name."""
    stored = EntityType.objects.filter(name=url.split("/")[1]).values_list("state_schemas", flat=True).first()
    return collections(stored or {})
