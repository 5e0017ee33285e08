"""Making an entity: its stream, its row, its first events, its place in the family, in one unit."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError

from entities import presence
from entities.catalog import log
from entities.exceptions import EntityExists, InvalidInput
from entities.lifecycle import inbox
from entities.models import Entity
from entities.types.registry import registry
from shared_state.api import StreamExists, Unit, database
from shared_state.models import Stream

_SLUG = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$")


@dataclass(frozen=True)
class SpawnRequest:
    """What to make. `owner` and `creator` are principals; a child's owner is its parent's."""

    type: str
    slug: str
    owner: str
    creator: str
    args: Mapping[str, Any] | None = None
    parent: Entity | None = None
    message: Any = None
    message_type: str = ""
    title: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    """Makes spawning repeatable: the same key with the same address answers with what is there."""


def spawn(unit: Unit, request: SpawnRequest) -> Entity:
    """Make an entity. Raises `UnknownType`, `InvalidInput` and `EntityExists`."""
    found = registry.get(request.type)
    if not _SLUG.match(request.slug):
        raise InvalidInput(
            f"{request.slug!r} cannot be an id: letters, digits and . _ ~ -, at most 128 characters, "
            "beginning with a letter or digit."
        )
    url = f"/{found.name}/{request.slug}"
    args = found.checked_args(request.args or {})
    known = Entity.objects.filter(url=url).first()
    if known is not None:
        if request.key and _spawn_key(unit, known) == request.key:
            return known
        raise EntityExists(f"There is an agent at {url} already; choose another id.")
    entity = _create(unit, request, found.name, url, args)
    _first_events(unit, entity, request)
    if request.message is not None:
        key = uuid.uuid5(uuid.NAMESPACE_URL, request.key).hex if request.key else ""
        inbox.deliver(
            unit, entity, request.creator, request.message, key=key, message_type=request.message_type
        )
    else:
        presence.announce(unit, entity)
    return entity


def _create(unit: Unit, request: SpawnRequest, type_name: str, url: str, args: Any) -> Entity:
    parent = request.parent
    root = (parent.stream.root_id or parent.stream_id) if parent else None
    try:
        stream = unit.create_stream(url, Stream.Kind.ENTITY, request.owner, root=root)
        with database.atomic():
            return Entity.objects.create(
                type=type_name, slug=request.slug, url=url, stream_id=stream.id, parent=parent,
                presence_id=presence.ensure(unit, request.owner).id,
                owner=request.owner, created_by=request.creator, args=args, tags=dict(request.tags),
                title=request.title[:200], created_at=unit.now, last_activity_at=unit.now,
                state=Entity.State.SPAWNING if request.message is not None else Entity.State.IDLE,
            )  # fmt: skip
    except (StreamExists, IntegrityError):
        raise EntityExists(f"There is an agent at {url} already; choose another id.") from None


def _first_events(unit: Unit, entity: Entity, request: SpawnRequest) -> None:
    created = {
        "entity_type": entity.type, "args": entity.args, "created_by": request.creator,
        "parent_url": request.parent.url if request.parent else None, "timestamp": log.iso(unit.now),
    }  # fmt: skip
    # The prefix "born:" is stored in the logs of agents that were made long ago, so it stays as it is.
    events = [
        log.new("entity_created", "created", created, client_key=f"born:{request.key}" if request.key else "")
    ]
    tags = dict(request.tags)
    if request.title:
        tags["title"] = request.title[:200]
    events += [log.new("tags", name, {"value": str(value)}) for name, value in tags.items()]
    unit.append(entity.stream_id, events)


def _spawn_key(unit: Unit, entity: Entity) -> str:
    """The key that an entity was made with."""
    found = entity.stream.events.filter(offset=1).values_list("client_key", flat=True).first()
    return (found or "").removeprefix("born:")
