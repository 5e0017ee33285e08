"""Columns and fields of agents and wakes in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from entities.models import Entity, EntityType, Subscription, Wake
from entities.web import addresses
from shared_state.api import clock
from shared_state.html.admin_parts import NOTHING, change_link, in_line, list_link, short
from shared_state.models import Stream

SHOWN_WAKES = 20
"""How many of its newest wakes an agent's page shows."""


def status_mark(word: str) -> SafeString:
    """A status as a dot and a word."""
    return format_html('<span class="mark mark-{}">{}</span>', word, word)


def lease_of(agent: Entity) -> str:
    """Who holds an agent's lease, until when; one that has ended is somebody's who died."""
    if agent.lease_expires_at is None:
        return NOTHING
    ended = agent.lease_expires_at <= clock.now()
    return f"{agent.lease_owner} {'ended' if ended else 'until'} {agent.lease_expires_at:%Y-%m-%d %H:%M:%S}"


# -- of agents


@admin.display(description="status", ordering="state")
def agent_status(agent: Entity) -> SafeString:
    """The status, as pages show it."""
    return status_mark(agent.status)


@admin.display(description="wakes")
def agent_waiting(agent: Any) -> SafeString | str:
    """How many wakes wait or are parked; the list counts them in its query."""
    links = [
        list_link(Wake, f"{count} {state}", entity=agent.pk, state__exact=state)
        for state, count in (("pending", agent.pending), ("parked", agent.parked))
        if count
    ]
    return in_line(links, ", ")


@admin.display(description="lease")
def agent_lease(agent: Entity) -> str:
    """Who holds it, until when."""
    return lease_of(agent)


@admin.display(description="epoch")
def agent_epoch(agent: Entity) -> int:
    """What the lease holder's writes must carry."""
    return agent.stream.epoch


@admin.display(description="page")
def agent_page(agent: Entity) -> SafeString:
    """A link to the agent's page."""
    return format_html('<a href="{}">open</a>', addresses.page(agent.url))


@admin.display(description="type")
def agent_type(agent: Entity) -> SafeString:
    """A link to the type."""
    return change_link(EntityType, agent.type, agent.type)


@admin.display(description="family")
def agent_family(agent: Entity) -> SafeString:
    """Links to the parent and the children."""
    children = list_link(Entity, "children", parent=agent.pk)
    if agent.parent is None:
        return children
    return format_html("child of {} · {}", change_link(Entity, agent.parent.pk, agent.parent.url), children)


@admin.display(description="stream")
def agent_stream(agent: Entity) -> SafeString:
    """A link to the log, and how long it is."""
    return format_html("{} at {}", change_link(Stream, agent.stream_id, agent.stream.path), agent.stream.head)


@admin.display(description="newest wakes")
def agent_wakes(agent: Entity) -> SafeString:
    """The newest wakes, and a link to all."""
    found = [
        (
            change_link(Wake, wake.pk, wake.get_reason_display()),
            wake.source,
            status_mark(wake.state),
            short(wake.error),
        )
        for wake in Wake.objects.filter(entity=agent).order_by("-pk")[:SHOWN_WAKES]
    ]
    lines = format_html_join("", "<li>{} from {} {} <small>{}</small></li>", found)
    return format_html('<ul class="plain">{}</ul>{}', lines, list_link(Wake, "all wakes", entity=agent.pk))


@admin.display(description="observes")
def agent_sources(agent: Entity) -> SafeString:
    """A link to what wakes it."""
    return list_link(Subscription, "subscriptions", observer=agent.pk)


# -- of wakes


@admin.display(description="state")
def wake_state(wake: Wake) -> SafeString:
    return status_mark(wake.state)


@admin.display(description="lease")
def wake_lease(wake: Wake) -> str:
    """The lease that runs it."""
    return lease_of(wake.entity) if wake.state == Wake.State.CLAIMED else NOTHING


@admin.display(description="error")
def wake_error(wake: Wake) -> str:
    """The beginning of the error."""
    return short(wake.error)


@admin.display(description="offsets")
def wake_range(wake: Wake) -> str:
    """Which part of the log it covers."""
    return f"{wake.from_offset} to {wake.to_offset} (exclusive)" if wake.to_offset else "not claimed yet"


# -- of streams


def of_stream(stream: Stream) -> SafeString | str:
    """What a stream's page links to here: its agent, if it is one's log, and who observes it."""
    agent = Entity.objects.filter(stream=stream).first()
    own = [change_link(Entity, agent.pk, agent.url)] if agent else []
    return in_line([*own, list_link(Subscription, "who observes it", source=stream.pk)])
