"""Spawning, observing, messaging and sharing: each one change, each repeatable."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from entities.catalog import log
from entities.context.session import Session
from entities.context.state import EntityDb, SharedState, StreamRef
from entities.exceptions import EntityNotFound, InvalidInput, UnknownType
from entities.lifecycle import inbox
from entities.lifecycle.spawn import SpawnRequest
from entities.lifecycle.spawn import spawn as spawn_in
from entities.models import Entity, EntityType, Subscription, Timer
from entities.types.registry import registry
from entities.wakes import wake
from entities.wakes.sources import Change, Condition, DbSource, EntitySource, RunFinished, milliseconds
from shared_state.api import (
    AccessDenied,
    CollectionSpec,
    Event,
    Json,
    Principal,
    SharedStateSchema,
    StreamInfo,
    StreamNotFound,
    Unit,
    collections,
    info_of,
    read,
    require,
)
from shared_state.models import Stream


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
        return await self._session.read(lambda _: read(self._stream.id, after, limit))

    async def send(self, message: Any, *, type: str | None = None) -> None:
        """Send it a message. Raises `EntityStopped`, `InvalidInput`."""
        await send(self._session, self.entity_url, message, type=type)

    async def status(self) -> str:
        """Its status now, such as `idle` or `running`."""
        return await self._session.read(lambda _: _entity(self._session.entity, self.entity_url).status)


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

    def operation(unit: Unit) -> Entity:
        made = spawn_in(unit, request)
        manifest = {"kind": "child", "url": made.url, "entity_type": made.type, "args": made.args}
        status = {"entity_url": made.url, "entity_type": made.type, "status": made.status}
        unit.append(
            me.stream_id,
            [
                log.new("manifest", f"child:{made.url}", manifest, client_key=f"{key}/manifest"),
                log.new("child_status", made.url, status, "upsert", client_key=f"{key}/status"),
            ],
        )
        if child.wake is not None and child.observe:
            _subscribe(unit, me, made.stream_id, made.url, child.wake, registry.get(made.type).state)
        return made

    made = await session.change(operation)
    return EntityHandle(session, made, registry.get(made.type).state)


async def observe(
    session: Session, source: EntitySource | DbSource, condition: Condition | None
) -> EntityHandle | SharedState:
    """A handle to a source; with a condition, be woken by it from now on. Asking again changes nothing."""
    if not await session.read(lambda _: _is_observed(session.entity, source, condition)):
        await session.change(lambda unit: _observe(unit, session.entity, source, condition))
    if isinstance(source, EntitySource):
        found, own = await session.read(lambda _: _reached(session.entity, source.url))
        return EntityHandle(session, found, own)
    stream = await session.read(lambda _: info_of(_source_stream(session.entity, source)))
    specs = collections(stream.schema)
    chosen = specs if source.schema is None else {name: specs[name] for name in source.schema}
    return SharedState(session, source.id, StreamRef(session, stream.id, source.path), chosen)


async def unobserve(session: Session, source: EntitySource | DbSource) -> None:
    """Stop being woken by a source; other subscriptions are untouched."""
    me, where = session.entity, _place(source)

    def operation(unit: Unit) -> None:
        for subscription in Subscription.objects.filter(observer=me, source_url=where):
            wake.forget(subscription)
            subscription.delete()
        if unit.row(me.stream_id, "manifest", f"source:{where}") is not None:
            unit.append(me.stream_id, [log.new("manifest", f"source:{where}", {"kind": "source"}, "delete")])

    await session.change(operation)


async def mkdb(session: Session, id: str, schema: SharedStateSchema | Mapping[str, Any]) -> SharedState:
    """Make a shared state. Raises `StreamExists`, unless this very call made it before a crash."""
    given = SharedStateSchema.of(schema)
    source = DbSource(id)
    key = session.scope.name(f"mkdb:{id}")
    me = session.entity
    manifest = log.new(
        "manifest", f"shared-state:{id}", {"kind": "shared-state", "id": id, "collections": list(given)},
        "upsert", client_key=key,
    )  # fmt: skip

    def operation(unit: Unit) -> StreamInfo:
        if unit.append(me.stream_id, [manifest])[0].repeated:
            return unit.stream(_stream(source.path).id)
        root = me.stream.root_id or me.stream_id
        return unit.create_stream(
            source.path, Stream.Kind.SHARED, me.owner, root=root, schema=given.to_json()
        )

    made = await session.change(operation)
    return SharedState(session, id, StreamRef(session, made.id, source.path), given)


async def send(
    session: Session, url: str, payload: Any, *, type: str | None = None, after: timedelta | None = None
) -> None:
    """Message another entity of the same owner, now or later. Raises `EntityNotFound`, `InvalidInput`."""
    me, writer = session.entity, session.writer
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{me.url}:{session.scope.name(f'send:{url}')}").hex

    def operation(unit: Unit) -> None:
        target = _entity(me, url)
        if after is None:
            inbox.deliver(unit, target, writer, payload, key=name, message_type=type or "")
            return
        inbox.check(target, payload, type or "")
        Timer.objects.get_or_create(
            entity=target, key=name,
            defaults={
                "sender": writer, "payload": payload, "message_type": type or "",
                "due_at": unit.now + after, "created_at": unit.now,
            },
        )  # fmt: skip
        unit.nudge("wake")

    await session.change(operation)


# -- inside units and reads


def _reached(me: Entity, url: str) -> tuple[Entity, dict[str, CollectionSpec]]:
    found = _entity(me, url)
    return found, _own_collections(found.type)


def _own_collections(type: str) -> dict[str, CollectionSpec]:
    """A type's state: as defined here, or as it was stored by a process that knows the type."""
    try:
        return registry.get(type).state
    except UnknownType:
        pass
    stored = EntityType.objects.filter(name=type).values_list("state_schemas", flat=True).first()
    return collections(stored or {})


def _place(source: EntitySource | DbSource) -> str:
    return source.url if isinstance(source, EntitySource) else source.path


def _stream(path: str) -> Stream:
    found = Stream.objects.filter(path=path).first()
    if found is None:
        raise StreamNotFound(f"There is no shared state {path.removeprefix('shared:')!r}; mkdb makes one.")
    return found


def _entity(me: Entity, url: str) -> Entity:
    """An entity that this one may reach: its owner's rights, no more. Raises `EntityNotFound`."""
    found = Entity.objects.filter(url=url).select_related("stream").first()
    try:
        if found is None:
            raise AccessDenied
        if found.owner != me.owner:
            require(Principal.parse(me.owner), "write", found.stream)
    except AccessDenied:
        raise EntityNotFound(f"There is no agent at {url}.") from None
    return found


def _source_stream(me: Entity, source: EntitySource | DbSource) -> Stream:
    if isinstance(source, EntitySource):
        return _entity(me, source.url).stream
    found = _stream(source.path)
    if found.owner != me.owner:
        try:
            require(Principal.parse(me.owner), "write", found)
        except AccessDenied:
            raise StreamNotFound(f"There is no shared state {source.id!r}.") from None
    if source.schema is not None:
        source.schema.require_agreement(found.schema, f"Shared state {source.id!r}")
    return found


def _is_observed(me: Entity, source: EntitySource | DbSource, condition: Condition | None) -> bool:
    """Whether asking would change nothing: a handler may ask at every wake for the price of a read."""
    stream = _source_stream(me, source)
    where = _place(source)
    if not stream.rows.model.objects.filter(
        stream=me.stream_id, type="manifest", key=f"source:{where}"
    ).exists():
        return False
    if condition is None:
        return True
    if isinstance(condition, Change) and condition.timeout is not None:
        return False
    wanted = _columns(condition, collections(stream.schema) if isinstance(source, DbSource) else {})
    known = (
        Subscription.objects.filter(observer=me, source=stream, kind=wanted["kind"]).values(*wanted).first()
    )
    return bool(known == wanted)


def _observe(unit: Unit, me: Entity, source: EntitySource | DbSource, condition: Condition | None) -> None:
    stream = _source_stream(me, source)
    where = _place(source)
    entry: Json = {
        "kind": "source",
        "source": "db" if isinstance(source, DbSource) else "entity",
        "url": where,
    }
    known = unit.row(me.stream_id, "manifest", f"source:{where}")
    if known is None or not entry.items() <= known.value.items():
        unit.append(me.stream_id, [log.new("manifest", f"source:{where}", entry, "upsert")])
    if condition is not None:
        if isinstance(source, DbSource):
            known_specs = collections(stream.schema)
        else:
            known_specs = _own_collections(source.url.split("/")[1])
        _subscribe(unit, me, stream.id, where, condition, known_specs)


def _subscribe(
    unit: Unit, me: Entity, stream: int, where: str, condition: Condition, known: Mapping[str, CollectionSpec]
) -> None:  # fmt: skip
    wanted = _columns(condition, known)
    kind = wanted.pop("kind")
    subscription, _ = Subscription.objects.update_or_create(
        observer=me, source_id=stream, kind=kind,
        defaults={**wanted, "source_url": where},
        create_defaults={**wanted, "source_url": where, "created_at": unit.now},
    )  # fmt: skip
    if not unit.stream(stream).observed:
        unit.change_stream(stream, observed=True)
    wake.arm_timeout(unit, subscription)


def _columns(condition: Condition, known: Mapping[str, CollectionSpec]) -> dict[str, Any]:
    if isinstance(condition, RunFinished):
        return {"kind": Subscription.Kind.RUN_FINISHED, "include_response": condition.include_response}
    if not isinstance(condition, Change):
        raise InvalidInput(f"{condition!r} is not a condition; use RunFinished(…) or Change(…).")
    return {
        "kind": Subscription.Kind.CHANGE,
        "types": condition.types(known),
        "operations": list(condition.ops) if condition.ops is not None else None,
        "debounce_ms": milliseconds(condition.debounce) or 0,
        "timeout_ms": milliseconds(condition.timeout),
    }
