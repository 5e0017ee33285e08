"""Making an entity: its stream, its row, its first events, its place in the family, in one unit."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from entities import presence
from entities.catalog import log
from entities.exceptions import EntityExists, InvalidInput
from entities.lifecycle import inbox
from entities.lookups import ADDRESSES, AGENTS, WAITING
from entities.models import Entity
from entities.types.registry import registry
from shared_state.api import (
    Event,
    Filled,
    Json,
    Needs,
    NewEvent,
    Row,
    StreamExists,
    Unit,
    Verb,
    fields_of_schema,
    is_name,
    is_storable,
    require_same,
)
from shared_state.models import Stream

KEY_PREFIX = "born:"
"""What the key of an agent's first event begins with. It is stored in the logs of agents made long ago."""
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")


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


@dataclass(frozen=True)
class _Checked:
    """A request whose arguments and first message fit."""

    request: SpawnRequest
    args: Filled
    message: inbox.Message | None

    @property
    def url(self) -> str:
        return f"/{self.request.type}/{self.request.slug}"

    @property
    def needs(self) -> Needs:
        owner = presence.path_of(self.request.owner)
        return Needs(paths=(self.url, owner), lookups=((ADDRESSES, self.url),))


def require_tag(name: Any, value: Any) -> None:
    """Raise `InvalidInput` for what cannot be a tag."""
    if not is_name(name):
        raise InvalidInput(
            f"{name!r:.200} cannot be the name of a tag: a text of 1 to 255 characters, no line breaks or "
            "other controls, no spaces around it."
        )
    if not is_storable(str(value)):
        raise InvalidInput(f"tag {name!r}: {value!r:.200} holds what cannot be stored.")


def spawning(request: SpawnRequest) -> Verb[Entity]:
    """Make an entity. Checked here, done where the verb is.

    Raises `UnknownType`, `InvalidInput`; the verb raises `EntityExists`, and `KeyReused` if
    its key was that of another spawn of this address.
    """
    checked = _checked(request)
    return Verb(lambda unit: _spawn(unit, checked), checked.needs)


def _checked(request: SpawnRequest) -> _Checked:
    """The schemas of a type are users' code: not to be run in a unit."""
    found = registry.get(request.type)
    if not isinstance(request.slug, str) or not _SLUG.fullmatch(request.slug):
        raise InvalidInput(
            f"{request.slug!r:.200} cannot be an id: letters, digits and . _ ~ -, at most 128 characters, "
            "beginning with a letter or digit."
        )
    request = replace(request, type=found.name)  # what was asked for may be an alias
    given = {} if request.args is None else request.args
    args = Filled(found.checked_args(given), given, fields_of_schema(found.creation_schema))
    for name, value in request.tags.items():
        require_tag(name, value)
    if not is_storable(request.title):
        raise InvalidInput(f"{request.title!r:.200} cannot be a title: it holds what cannot be stored.")
    if request.message is None:
        return _Checked(request, args, None)
    key = _message_key(request)
    message = inbox.checked(
        Entity(type=request.type, url=f"/{request.type}/{request.slug}"), request.creator, request.message,
        key=key, message_type=request.message_type,
    )  # fmt: skip
    return _Checked(request, args, message)


def _message_key(request: SpawnRequest) -> str:
    """The key of the message that it begins with."""
    return uuid.uuid5(uuid.NAMESPACE_URL, request.key).hex if request.key else ""


def _spawn(unit: Unit, checked: _Checked) -> Entity:
    request, url = checked.request, checked.url
    known = unit.tables.one(ADDRESSES, url)
    if known is not None:
        before = unit.repeated(known.stream_id, _client_key(request)) if request.key else None
        if before is not None:
            _require_same(unit, checked, known, before)
            return known
        raise EntityExists(f"There is an agent at {url} already; choose another id.")
    entity = _create(unit, checked)
    unit.append(entity.stream_id, _first_events(checked, unit.now))
    if checked.message is not None:
        inbox.put(unit, entity, checked.message)
    presence.announce(unit, entity)
    return entity


def _create(unit: Unit, checked: _Checked) -> Entity:
    request, parent = checked.request, checked.request.parent
    root = (parent.stream.root_id or parent.stream_id) if parent else None
    try:
        stream = unit.create_stream(checked.url, Stream.Kind.ENTITY, request.owner, root=root)
    except StreamExists:
        raise EntityExists(f"There is an agent at {checked.url} already; choose another id.") from None
    entity = Entity(
        type=request.type, slug=request.slug, url=checked.url, stream_id=stream.id,
        parent_id=parent.pk if parent else None, presence_id=presence.ensure(unit, request.owner),
        owner=request.owner, created_by=request.creator, args=checked.args.whole, tags=dict(request.tags),
        title=request.title[:200], created_at=unit.now, last_activity_at=unit.now,
        state=Entity.State.SPAWNING if request.message is not None else Entity.State.IDLE,
    )  # fmt: skip
    unit.tables.add(entity)
    unit.tables.know(AGENTS, entity.pk, entity)
    unit.tables.know(WAITING, entity.pk)
    return entity


def _first_events(checked: _Checked, now: datetime) -> list[NewEvent]:
    """How its log begins. With a key, each of these is known again."""
    request = checked.request
    created = {
        "entity_type": request.type, "args": checked.args.whole, "created_by": request.creator,
        "parent_url": request.parent.url if request.parent else None, "timestamp": log.iso(now),
    }  # fmt: skip
    events = [log.new("entity_created", "created", created, client_key=_client_key(request))]
    tags = {name: str(value) for name, value in request.tags.items()}
    if request.title:
        tags["title"] = request.title[:200]
    for name, value in tags.items():
        key = _client_key(request, name)
        events.append(log.new("tags", name, {"value": value}, client_key=key))
    return events


def _client_key(request: SpawnRequest, tag: str = "") -> str:
    """By which the log knows the first events of a spawn with a key again; tags by their hash."""
    if not request.key:
        return ""
    known = f"{KEY_PREFIX}{request.key}"
    return f"{known}:{uuid.uuid5(uuid.NAMESPACE_URL, tag).hex}" if tag else known


def _require_same(unit: Unit, checked: _Checked, known: Entity, before: Event) -> None:
    """Raise `KeyReused` unless the agent that is there was asked for in the same words."""
    what = f"The spawn of {checked.url}"
    created, *tags = _first_events(checked, unit.now)
    stored = before.value or _value(unit.row(known.stream_id, before.type, before.key)) or {}
    filled = {"args": checked.args.beside(stored.get("args")), "timestamp": stored.get("timestamp")}
    require_same(what, {**(created.value or {}), **filled}, stored)
    given = {tag.key: (tag.value or {})["value"] for tag in tags}
    began = unit.rows_between(known.stream_id, "tags", before.offset, before.offset + len(tags) + 2)
    # What they are by now is no matter. Those of agents that were made long ago had no keys.
    had = {row.key: given.get(row.key, "") for row in began if row.created_at == before.timestamp}
    for tag in tags:
        first = unit.repeated(known.stream_id, tag.client_key)
        if first is not None:
            had[tag.key] = first.value["value"]
    require_same(f"{what}, tags", given, had)
    key = _message_key(checked.request)
    inbox.require_same_message(key, checked.message, _value(unit.row(known.stream_id, "inbox", key)))


def _value(row: Row | None) -> Json | None:
    return row.value if row is not None else None
