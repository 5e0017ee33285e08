"""Making an entity: its stream, its row, its first events, its place in the family, in one unit."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from entities import directory, inbox, log
from entities.exceptions import EntityExists, InvalidInput
from entities.models import Entity
from entities.registry import registry
from shared_state.api import StreamExists, Unit
from shared_state.models import Stream

_SLUG = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$")


@dataclass(frozen=True)
class Birth:
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


def spawn(unit: Unit, birth: Birth) -> Entity:
    """Make an entity. Raises `UnknownType`, `InvalidInput` and `EntityExists`."""
    found = registry.get(birth.type)
    if not _SLUG.match(birth.slug):
        raise InvalidInput(
            f"{birth.slug!r} cannot be an id: letters, digits and . _ ~ -, at most 128 characters, "
            "beginning with a letter or digit."
        )
    url = f"/{found.name}/{birth.slug}"
    args = found.checked_args(birth.args or {})
    known = Entity.objects.filter(url=url).first()
    if known is not None:
        if birth.key and _born_by(unit, known) == birth.key:
            return known
        raise EntityExists(f"There is an agent at {url} already; choose another id.")
    entity = _create(unit, birth, found.name, url, args)
    _first_events(unit, entity, birth)
    if birth.message is not None:
        key = uuid.uuid5(uuid.NAMESPACE_URL, birth.key).hex if birth.key else ""
        inbox.deliver(unit, entity, birth.creator, birth.message, key=key, message_type=birth.message_type)
    else:
        directory.announce(unit, entity)
    return entity


def _create(unit: Unit, birth: Birth, type_name: str, url: str, args: Any) -> Entity:
    parent = birth.parent
    root = (parent.stream.root_id or parent.stream_id) if parent else None
    try:
        stream = unit.create_stream(url, Stream.Kind.ENTITY, birth.owner, root=root)
        with transaction.atomic():
            return Entity.objects.create(
                type=type_name, slug=birth.slug, url=url, stream_id=stream.id, parent=parent,
                directory_id=directory.ensure(unit, birth.owner).id,
                owner=birth.owner, created_by=birth.creator, args=args, tags=dict(birth.tags),
                title=birth.title[:200], created_at=unit.now, last_activity_at=unit.now,
                state=Entity.State.SPAWNING if birth.message is not None else Entity.State.IDLE,
            )  # fmt: skip
    except (StreamExists, IntegrityError):
        raise EntityExists(f"There is an agent at {url} already; choose another id.") from None


def _first_events(unit: Unit, entity: Entity, birth: Birth) -> None:
    created = {
        "entity_type": entity.type, "args": entity.args, "created_by": birth.creator,
        "parent_url": birth.parent.url if birth.parent else None, "timestamp": log.iso(unit.now),
    }  # fmt: skip
    events = [
        log.new("entity_created", "created", created, client_key=f"born:{birth.key}" if birth.key else "")
    ]
    tags = dict(birth.tags)
    if birth.title:
        tags["title"] = birth.title[:200]
    events += [log.new("tags", name, {"value": str(value)}) for name, value in tags.items()]
    unit.append(entity.stream_id, events)


def _born_by(unit: Unit, entity: Entity) -> str:
    """The key that an entity was made with."""
    found = entity.stream.events.filter(offset=1).values_list("client_key", flat=True).first()
    return (found or "").removeprefix("born:")
