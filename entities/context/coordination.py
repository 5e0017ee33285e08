"""Spawning, observing, messaging and sharing: each one change, each repeatable."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from entities.catalog import log
from entities.context.observing import (
    agreed,
    columns_of,
    is_observed,
    observing,
    place_of,
    require_source,
    require_url,
    subscribe,
    subscribed_streams,
)
from entities.context.session import Session
from entities.context.state import EntityDb, SharedState, StreamRef
from entities.exceptions import EntityNotFound, InvalidInput, UnknownType
from entities.lifecycle import inbox
from entities.lifecycle.spawn import SpawnRequest, spawning
from entities.lookups import ADDRESSES, OBSERVERS, TIMER_KEYS
from entities.models import Entity, EntityType, Timer
from entities.types.registry import registry
from entities.wakes import wake
from entities.wakes.sources import Condition, DbSource, EntitySource, RunFinished, milliseconds
from shared_state.api import (
    AccessDenied,
    CollectionSpec,
    Draft,
    Event,
    Json,
    Needs,
    Principal,
    SchemaMismatch,
    SharedStateSchema,
    StreamInfo,
    StreamNotFound,
    Unit,
    Verb,
    collections,
    info_of,
    is_name,
    require,
    require_same,
)
from shared_state.models import Stream

MAX_ID = 240
"""How many characters the id of a shared state has at most; its path, and keys that name it, have more."""


class EntityHandle:
    """Another entity: to read, to message, to ask for its status. There is no way to wait for it here.

    To go on when it finishes, spawn or observe it with a condition, write down what you need, and return.
    """

    def __init__(self, session: Session, entity: Entity, own: Mapping[str, CollectionSpec]) -> None:
        self._session = session
        self.entity_url = entity.url
        self.type = entity.type
        self._stream = StreamRef(session, entity.stream_id, entity.url)
        self.db = EntityDb(session, self._stream, own, entity.url)

    async def events(self, after: int = 0, limit: int = 500) -> list[Event]:
        """Its log after an offset, oldest first."""
        return await self._session.read(lambda reader: reader.read(self._stream.of(reader), after, limit))

    async def send(self, message: Any, *, type: str | None = None) -> None:
        """Send it a message. Raises `EntityStopped`, `InvalidInput`."""
        await send(self._session, self.entity_url, message, type=type)

    async def status(self) -> str:
        """Its status now, such as `idle` or `running`."""
        me = self._session.entity
        return await self._session.read(lambda reader: _entity(reader, me, self.entity_url).status)


@dataclass(frozen=True)
class Child:
    """What `spawn` was asked for, beside address and arguments."""

    initial_message: Any = None
    initial_message_type: str | None = None
    wake: Condition | None = None
    tags: Mapping[str, str] | None = None
    title: str = ""
    observe: bool = True


async def spawn(session: Session, type: str, id: str, args: Json | None, child: Child) -> EntityHandle:
    """Make a child. Raises `EntityExists`, `InvalidInput`, `UnknownType`."""
    key = session.scope.name(f"spawn:{type}/{id}")
    me = session.entity
    request = SpawnRequest(
        type=type, slug=id, owner=me.owner, creator=session.writer, args=args, parent=me,
        message=child.initial_message, message_type=child.initial_message_type or "",
        title=child.title, tags=child.tags or {}, key=uuid.uuid5(uuid.NAMESPACE_URL, f"{me.url}:{key}").hex,
    )  # fmt: skip
    making = spawning(request)
    own = registry.get(type).state
    wanted = columns_of(child.wake, own) if child.wake is not None and child.observe else None

    def run(unit: Unit) -> Entity:
        made = making(unit)
        manifest = {"kind": "child", "url": made.url, "entity_type": made.type, "args": made.args}
        status = {"entity_url": made.url, "entity_type": made.type, "status": made.status}
        unit.append(
            me.stream_id,
            [
                log.new("manifest", f"child:{made.url}", manifest, client_key=f"{key}/manifest"),
                log.new("child_status", made.url, status, "upsert", client_key=f"{key}/status"),
            ],
        )
        if wanted is not None:
            subscribe(unit, me, made.stream_id, made.url, wanted)
        return made

    needs = making.needs + Needs(
        (me.stream_id,), keys=tuple((me.stream_id, f"{key}/{what}") for what in ("manifest", "status"))
    )
    made = await session.change(Verb(run, needs))
    return EntityHandle(session, made, own)


async def observe(
    session: Session, source: EntitySource | DbSource, condition: Condition | None
) -> EntityHandle | SharedState:
    """A handle to a source; with a condition, be woken by it from now on. Asking again changes nothing."""
    me = session.entity
    require_source(source)
    stream = await session.read(lambda reader: _source_stream(reader, me, source))
    schema = agreed(source, stream)
    if isinstance(source, EntitySource):
        own = await session.read(lambda _: _own_collections(source.url.split("/")[1]))
    else:
        own = collections(schema)
    if isinstance(source, DbSource) and isinstance(condition, RunFinished):
        raise InvalidInput("A shared state has no runs that finish; observe it with Change(…).")
    wanted = None if condition is None else columns_of(condition, own)
    place, grows = place_of(source), schema != stream.schema
    if grows or not await session.read(lambda reader: is_observed(reader, me, stream.id, place, wanted)):
        await session.change(observing(me, StreamRef(session, stream.id, stream.path), source, wanted))
    if isinstance(source, EntitySource):
        return EntityHandle(session, await session.read(lambda reader: _entity(reader, me, source.url)), own)
    given = own if source.schema is None else source.schema
    chosen = {name: replace(own[name], model=spec.model) for name, spec in given.items()}
    return SharedState(session, source.id, StreamRef(session, stream.id, source.path), chosen)


async def unobserve(session: Session, source: EntitySource | DbSource) -> None:
    """Stop being woken by a source; other subscriptions are untouched."""
    require_source(source)
    me, where = session.entity, place_of(source)
    observed = await session.read(lambda _: subscribed_streams(me, where))

    def run(unit: Unit) -> None:
        there = unit.streams.at(where)  # one that was observed, or made, in the same atomic block
        for stream in sorted({*observed, *([there] if there is not None else [])}):
            unit.stream(stream)
            listening = unit.tables.find(OBSERVERS, stream)
            for subscription in [each for each in listening if each.observer_id == me.pk]:
                wake.forget(unit, subscription)
                unit.tables.delete(subscription)
            if not unit.tables.find(OBSERVERS, stream):
                unit.change_stream(stream, observed=False)
        if unit.row(me.stream_id, "manifest", f"source:{where}") is not None:
            unit.append(me.stream_id, [log.new("manifest", f"source:{where}", {"kind": "source"}, "delete")])

    needs = Needs(
        (me.stream_id, *observed), rows=((me.stream_id, "manifest", f"source:{where}"),),
        paths=(where,), lookups=tuple((OBSERVERS, stream) for stream in observed),
    )  # fmt: skip
    await session.change(Verb(run, needs))


async def mkdb(session: Session, id: str, schema: SharedStateSchema | Mapping[str, Any]) -> SharedState:
    """Make a shared state. Raises `StreamExists`, unless this very call made it before a crash."""
    given = SharedStateSchema.of(schema)
    if not is_name(id, MAX_ID):
        raise InvalidInput(
            f"{id!r:.200} cannot be a shared state's id: a text of 1 to {MAX_ID} characters, no line "
            "breaks or other controls, no spaces around it."
        )
    path = DbSource(id).path
    key = session.scope.name(f"mkdb:{id}")
    me = session.entity
    manifest = log.new(
        "manifest", f"shared-state:{id}", {"kind": "shared-state", "id": id, "collections": list(given)},
        "upsert", client_key=key,
    )  # fmt: skip

    def run(unit: Unit) -> int:
        known = unit.streams.at(path)
        if unit.append(me.stream_id, [manifest])[0].repeated and known is not None:
            _agree_again(unit, known, id, given)
            return known
        root = me.stream.root_id or me.stream_id
        return unit.create_stream(path, Stream.Kind.SHARED, me.owner, root=root, schema=given.to_json()).id

    needs = Needs(
        (me.stream_id,), rows=((me.stream_id, manifest.type, manifest.key),),
        keys=((me.stream_id, key),), paths=(path,),
    )  # fmt: skip
    made = await session.change(Verb(run, needs))
    return SharedState(session, id, StreamRef(session, made, path), given)


def _agree_again(unit: Unit, stream: int, id: str, given: SharedStateSchema) -> None:
    """Grow what the same call made, if its schema has grown since. Raises `KeyReused` if it is another."""
    stored = unit.stream(stream).schema
    with suppress(SchemaMismatch):
        schema = given.agreed(stored, f"Shared state {id!r}")
        if stored.keys() == given.keys():
            if schema != stored:
                unit.change_stream(stream, schema=schema)
            return
    require_same(f"mkdb of {id!r}", given.to_json(), stored)


async def send(
    session: Session, url: str, payload: Any, *, type: str | None = None, after: timedelta | None = None
) -> None:
    """Message another entity of the same owner, now or later. Raises `EntityNotFound`, `InvalidInput`."""
    require_url(url)
    if after is not None and not isinstance(after, timedelta):
        raise InvalidInput(f"after: a timedelta, not {after!r:.200}.")
    delay = timedelta(milliseconds=milliseconds(after) or 0)
    me, writer = session.entity, session.writer
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{me.url}:{session.scope.name(f'send:{url}')}").hex

    target = await session.read(lambda reader: _entity(reader, me, url))
    message = inbox.checked(target, writer, payload, key=name, message_type=type or "")
    if after is not None:
        await session.change(_setting_timer(target, message, delay))
    elif target.pk > 0:
        await session.change(inbox.delivering(target, message))
    else:  # made in the same atomic block
        await session.change(Verb(lambda unit: inbox.put(unit, _there(unit, url), message), _found_by(url)))


def _found_by(url: str) -> Needs:
    return Needs(lookups=((ADDRESSES, url),))


def _there(unit: Unit, url: str) -> Entity:
    found = unit.tables.one(ADDRESSES, url)
    if found is None:
        raise EntityNotFound(f"There is no agent at {url}.")
    return found


def _setting_timer(target: Entity, message: inbox.Message, after: timedelta) -> Verb[None]:
    def run(unit: Unit) -> None:
        receiver = _there(unit, target.url)
        unit.stream(receiver.stream_id)  # what hangs on an agent is changed while its log is locked
        waiting = unit.tables.find(TIMER_KEYS, message.key)
        known = next((timer for timer in waiting if timer.entity_id == receiver.pk), None)
        if known is not None:
            stored = {"payload": known.payload, "message_type": known.message_type}
            inbox.require_same_message(message.key, message, stored)
            return
        unit.tables.add(
            Timer(
                entity_id=receiver.pk, key=message.key, sender=message.sender, payload=message.payload,
                message_type=message.type, due_at=unit.now + after, created_at=unit.now,
            )
        )  # fmt: skip
        unit.nudge("wake")

    streams = (target.stream_id,) if target.pk > 0 else ()
    return Verb(run, _found_by(target.url) + Needs(streams, lookups=((TIMER_KEYS, message.key),)))


# -- inside units and reads


def _own_collections(type: str) -> dict[str, CollectionSpec]:
    """A type's state: as defined here, or as it was stored by a process that knows the type."""
    try:
        return registry.get(type).state
    except UnknownType:
        pass
    stored = EntityType.objects.filter(name=type).values_list("state_schemas", flat=True).first()
    return collections(stored or {})


def _stream(path: str) -> Stream:
    found = Stream.objects.filter(path=path).first()
    if found is None:
        raise StreamNotFound(f"There is no shared state {path.removeprefix('shared:')!r}; mkdb makes one.")
    return found


def _staged_entity(reader: Any, url: str) -> Entity | None:
    """One that is made in the atomic block itself."""
    found = reader.unit().tables.one(ADDRESSES, url) if isinstance(reader, Draft) else None
    return found if found is not None and found.pk < 0 else None


def _entity(reader: Any, me: Entity, url: str) -> Entity:
    """An entity that this one may reach: its owner's rights, no more. Raises `EntityNotFound`."""
    if (staged := _staged_entity(reader, url)) is not None:
        return staged
    found = Entity.objects.filter(url=url).select_related("stream").first()
    try:
        if found is None:
            raise AccessDenied
        if found.owner != me.owner:
            require(Principal.parse(me.owner), "write", found.stream)
    except AccessDenied:
        raise EntityNotFound(f"There is no agent at {url}.") from None
    return found


def _source_stream(reader: Any, me: Entity, source: EntitySource | DbSource) -> StreamInfo:
    found = _staged_stream(reader, place_of(source))
    if found is None:
        if isinstance(source, EntitySource):
            return info_of(_entity(reader, me, source.url).stream)
        found = info_of(_shared_stream(me, source))
    return found


def _staged_stream(reader: Any, path: str) -> StreamInfo | None:
    """One that is made in the atomic block itself."""
    if not isinstance(reader, Draft):
        return None
    unit = reader.unit()
    found = unit.streams.at(path)
    return unit.stream(found) if found is not None and found < 0 else None


def _shared_stream(me: Entity, source: DbSource) -> Stream:
    found = _stream(source.path)
    if found.owner != me.owner:
        try:
            require(Principal.parse(me.owner), "write", found)
        except AccessDenied:
            raise StreamNotFound(f"There is no shared state {source.id!r}.") from None
    return found
