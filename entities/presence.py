"""The live list of an owner's agents: a stream like any other, one row for each agent.

Every change of status is an event there, so a list, a tree or a dot on any page is a fold that can be resumed
without a gap. A process that dies says nothing; the row's `lease_until` tells the page when to doubt it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from entities.catalog.log import iso
from entities.lookups import AGENTS
from entities.models import Entity
from shared_state.api import NewEvent, Retention, StreamNotFound, Unit, Versions, clock
from shared_state.models import Stream

PREFIX = "presence:"
"""What the paths of presence streams begin with."""
ACTIVITY_STEP = timedelta(seconds=1)
"""How exactly an agent's last activity is known, where nothing else of it changes."""
RETENTION: dict[str, Retention] = {"agent": Versions(None)}
"""Of each agent only what it is now is kept."""


def path_of(owner: str) -> str:
    """The path of an owner's presence stream."""
    return f"{PREFIX}{owner}"


def ensure(unit: Unit, owner: str) -> int:
    """The id of the owner's presence stream, made if it is not there. It is not locked: see `announce`."""
    path = path_of(owner)
    found = unit.streams.at(path)
    return unit.create_stream(path, Stream.Kind.PRESENCE, owner).id if found is None else found


def listing(entity: Entity, parent_url: str | None = None) -> dict[str, Any]:
    """The row of an agent. The page and the push are rendered from it."""
    running = entity.status == "running"
    lease = entity.lease_expires_at if running else None
    return {
        "url": entity.url,
        "type": entity.type,
        "slug": entity.slug,
        "title": entity.title,
        "status": entity.status,
        "parent": parent_url,
        "created_at": iso(entity.created_at),
        "last_activity_at": iso(entity.last_activity_at),
        "lease_until": iso(lease) if lease else None,
    }


def announce(unit: Unit, entity: Entity) -> None:
    """Append the agent's row as it is now, unless it is just the same.

    It is done at the end of the transaction: every change of every agent of an owner meets in this stream,
    so it is locked last, in one order, and only while the transaction commits.
    """
    unit.later(_append, entity.pk, (entity, listing(entity)))


def _append(left: Sequence[tuple[Unit, tuple[Entity, dict[str, Any]]]]) -> None:
    places = [(entity.presence_id, "agent", entity.url) for _, (entity, _) in left]
    first = left[0][0]
    first.prefetch([stream for stream, _, _ in places], places)
    known = [unit.row(*place) for (unit, _), place in zip(left, places, strict=True)]
    new = [entity for (_, (entity, _)), row in zip(left, known, strict=True) if row is None]
    first.tables.ask(AGENTS, [entity.parent_id for entity in new if entity.parent_id])
    for (unit, (entity, value)), row in zip(left, known, strict=True):
        value["parent"] = row.value["parent"] if row else _parent_url(unit, entity)
        if row is None or row.value != value:
            unit.append(entity.presence_id, [NewEvent("agent", entity.url, value, "upsert")])


def _parent_url(unit: Unit, entity: Entity) -> str | None:
    parent = unit.tables.one(AGENTS, entity.parent_id) if entity.parent_id else None
    return parent.url if parent else None


def touch(unit: Unit, entity: Entity, **fields: Any) -> None:
    """Change columns of an entity, as `current` gave it, and announce it.

    `last_activity_at` moves to the unit's time.
    """
    fields.setdefault("last_activity_at", unit.now)
    unit.tables.change(entity, **fields)
    announce(unit, entity)


def stir(unit: Unit, entity: Entity) -> None:
    """Note that an entity is active, where nothing else of it changes: once a second.

    An agent that is sent a hundred messages a second needs no hundred events in its owner's list.
    """
    if not timedelta() <= unit.now - entity.last_activity_at < ACTIVITY_STEP:
        touch(unit, entity)


def is_over(entity: Entity) -> bool:
    """Whether the entity takes nothing any more."""
    return entity.state in (Entity.State.STOPPED, Entity.State.KILLED)


def lease_held(entity: Entity) -> bool:
    """Whether somebody runs it now."""
    return entity.lease_expires_at is not None and entity.lease_expires_at > clock.now()


def current(unit: Unit, entity: Entity) -> Entity:
    """An entity as it is now, its log locked: nobody else claims, ends or names it before the commit.

    The caller read `entity` before the unit began, perhaps long before. Raises `StreamNotFound` if it is gone
    since, or another agent has its place.
    """
    unit.streams.get(entity.stream_id)
    found = unit.tables.one(AGENTS, entity.pk)
    if found is None or (found.url, found.owner) != (entity.url, entity.owner):
        raise StreamNotFound(f"There is no agent at {entity.url} any more.")
    return found
