"""The front door: what `agents.py` files, views, consumers, admin and commands import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from entities.access import get_entity, reach
from entities.context import (
    AgentResult,
    Collection,
    EntityHandle,
    HandlerContext,
    SharedState,
    State,
    StateCollection,
    WakeEvent,
)
from entities.exceptions import (
    EntitiesError,
    EntityExists,
    EntityNotFound,
    EntityStopped,
    InvalidInput,
    KeyTaken,
    RegistryError,
    RunFailed,
    ToolError,
    TypeAlreadyDefined,
    UnknownType,
)
from entities.lifecycle import inbox, signals
from entities.lifecycle.spawn import SpawnRequest, spawning
from entities.models import Entity, Wake
from entities.toolbox.basic import TOOLBOX, now
from entities.toolbox.shared import shared_tools
from entities.types.registry import Registry, registry
from entities.types.script import Answered, OfflineTurn, Plan, Ruling, offline_script
from entities.types.tool import Tool, ToolResult, tool
from entities.wakes import lease, wake
from entities.wakes.sources import Change, RunFinished, db, entity
from shared_state.api import (
    AccessDenied,
    Event,
    InvalidRow,
    KeyReused,
    Principal,
    Provenance,
    RowError,
    RowExists,
    RowNotFound,
    SchemaError,
    SchemaMismatch,
    SharedStateError,
    SharedStateSchema,
    StateRow,
    StreamClosed,
    StreamExists,
    StreamNotFound,
    TooLarge,
    VersionConflict,
    require,
    submit,
    unit,
)

__all__ = [
    "TOOLBOX",
    "AccessDenied",
    "AgentResult",
    "Answered",
    "Change",
    "Collection",
    "EntitiesError",
    "EntityExists",
    "EntityHandle",
    "EntityNotFound",
    "EntityStopped",
    "HandlerContext",
    "InvalidInput",
    "InvalidRow",
    "KeyReused",
    "KeyTaken",
    "NewEntity",
    "OfflineTurn",
    "Plan",
    "Principal",
    "Registry",
    "RegistryError",
    "RowError",
    "RowExists",
    "RowNotFound",
    "Ruling",
    "RunFailed",
    "RunFinished",
    "SchemaError",
    "SchemaMismatch",
    "SharedState",
    "SharedStateError",
    "SharedStateSchema",
    "State",
    "StateCollection",
    "StateRow",
    "StreamClosed",
    "StreamExists",
    "StreamNotFound",
    "TooLarge",
    "Tool",
    "ToolError",
    "ToolResult",
    "TypeAlreadyDefined",
    "UnknownType",
    "VersionConflict",
    "WakeEvent",
    "db",
    "deliver",
    "deliver_now",
    "entity",
    "get_entity",
    "now",
    "offline_script",
    "registry",
    "release_lease",
    "retry_parked",
    "shared_tools",
    "signal",
    "signal_now",
    "spawn",
    "spawn_now",
    "tool",
    "wake_now",
]


@dataclass(frozen=True)
class NewEntity:
    """What a person asks for when they make an entity."""

    type: str
    slug: str
    args: Mapping[str, Any] | None = None
    message: Any = None
    title: str = ""


def spawn_now(principal: Principal, new: NewEntity) -> Entity:
    """Make an entity that belongs to the principal. Raises `EntityExists`, `InvalidInput`, `UnknownType`."""
    request = _spawn_request(principal, new)
    return unit(spawning(request), provenance=Provenance(request.creator))


def _spawn_request(principal: Principal, new: NewEntity) -> SpawnRequest:
    who = str(principal)
    return SpawnRequest(
        type=new.type,
        slug=new.slug,
        owner=who,
        creator=who,
        args=new.args,
        message=new.message,
        title=new.title,
    )


def deliver_now(
    principal: Principal, url: str, payload: Any, *, key: str = "", message_type: str = ""
) -> Event:
    """Send a message. Sending the same again with its key changes nothing.

    Raises `EntityNotFound`, `AccessDenied`, `EntityStopped`, `InvalidInput`, `KeyTaken`, and `KeyReused` for
    another message with the same key.
    """
    found = get_entity(principal, url, "write")
    return unit(
        inbox.delivery(found, str(principal), payload, key=key, message_type=message_type),
        provenance=Provenance(str(principal)),
    )


def signal_now(principal: Principal, url: str, name: str, *, reason: str = "") -> str:
    """Send a signal; `SIGINT` stops the present run. Returns the outcome. Raises as `deliver_now`."""
    found = get_entity(principal, url, "signal")
    who = str(principal)
    return unit(signals.signalling(found, name, who, reason), provenance=Provenance(who))


async def spawn(principal: Principal, new: NewEntity) -> Entity:
    """`spawn_now` for async callers."""
    request = _spawn_request(principal, new)
    return await submit(spawning(request), provenance=Provenance(request.creator))


async def deliver(
    principal: Principal, url: str, payload: Any, *, key: str = "", message_type: str = ""
) -> Event:
    """`deliver_now` for async callers: at the most one read, that is shared with others, and one unit."""
    who = str(principal)

    async def send(found: Entity) -> Event:
        verb = inbox.delivery(found, who, payload, key=key, message_type=message_type)
        return await submit(verb, provenance=Provenance(who))

    return await reach(principal, url, "write", send)


async def signal(principal: Principal, url: str, name: str, *, reason: str = "") -> str:
    """`signal_now` for async callers."""
    who = str(principal)

    async def send(found: Entity) -> str:
        return await submit(signals.signalling(found, name, who, reason), provenance=Provenance(who))

    return await reach(principal, url, "signal", send)


def wake_now(principal: Principal, found: Entity) -> None:
    """Wake an entity by hand. Raises `AccessDenied`."""
    require(principal, "manage", found.stream)
    unit(wake.requesting_manual(found, str(principal)), provenance=Provenance(str(principal)))


def release_lease(principal: Principal, found: Entity) -> bool:
    """Take an entity's lease from its worker. Raises `AccessDenied`."""
    require(principal, "manage", found.stream)
    return unit(signals.releasing_lease(found), provenance=Provenance(str(principal)))


def retry_parked(principal: Principal, parked: Wake) -> bool:
    """Retry a parked wake. Raises `AccessDenied`."""
    require(principal, "manage", parked.entity.stream)
    return unit(lease.retrying(parked), provenance=Provenance(str(principal)))
