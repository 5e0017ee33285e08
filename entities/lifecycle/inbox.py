"""Messages: checked, appended to the log, and the wake asked for, in one unit."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from entities import presence
from entities.catalog import log
from entities.conf import conf
from entities.exceptions import EntityStopped, InvalidInput, KeyTaken, UnknownType
from entities.lookups import AGENTS, WAITING
from entities.models import Entity
from entities.types.registry import registry, validated
from entities.wakes import wake
from shared_state.api import (
    Event,
    Filled,
    Json,
    Needs,
    NewEvent,
    Provenance,
    Unit,
    Verb,
    encoded,
    fields_of_schema,
    is_name,
    is_storable,
    require_same,
)

MAX_TYPE, MAX_KEY = 100, 255
"""How many characters the type of a message has at most, and its key as the log knows it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be put into an inbox; `payload` was checked. The key makes it repeatable."""

    sender: str
    payload: Any
    key: str
    type: str
    fresh: bool = False
    """Whether the key was made up here, so that nobody can have sent it before."""
    filled: Filled | None = None
    """The payload beside what was given of it; `None` if nobody can tell any more."""


def checked(entity: Entity, sender: str, payload: Any, *, key: str = "", message_type: str = "") -> Message:
    """A message that its receiver can take. The schemas of its type are users' code: not to be run in a unit.

    Raises `InvalidInput`, `EntityStopped`.
    """
    if message_type and not is_name(message_type, MAX_TYPE):
        raise InvalidInput(
            f"{message_type!r:.200} cannot be a message's type: a text of 1 to {MAX_TYPE} characters, no "
            "line breaks or other controls, no spaces around it."
        )
    if key and not (isinstance(key, str) and is_storable(key) and len(client_key(key)) <= MAX_KEY):
        raise InvalidInput(
            f"{key!r:.200} cannot be a message's key: a text of at most {MAX_KEY - len(client_key(''))} "
            "characters that both databases keep."
        )
    filled = _payload(entity, payload, message_type)
    return Message(sender, filled.whole, key or uuid.uuid4().hex, message_type, not key, filled)


def _payload(entity: Entity, payload: Any, message_type: str) -> Filled:
    """The payload with its schema's defaults."""
    _require_alive(entity)
    try:
        size = len(encoded(payload))
    except ValueError as error:
        raise InvalidInput(f"A message must be JSON that can be kept: {error}.") from None
    if size > conf.max_message_bytes:
        raise InvalidInput(
            f"The message is {size:,} bytes long; {conf.max_message_bytes:,} are allowed. Send less, "
            "or put it into shared state."
        )
    if payload is None or (isinstance(payload, str) and not payload.strip()):
        raise InvalidInput("The message is empty.")
    try:
        found = registry.get(entity.type)
    except UnknownType:  # its app was uninstalled; the message waits for it
        return Filled(validated(None, payload, "message"), payload)
    fields = fields_of_schema(found.inbox_schemas.get(message_type))
    return Filled(found.checked_message(message_type, payload), payload, fields)


def _require_alive(entity: Entity) -> None:
    if presence.is_over(entity):
        raise EntityStopped(f"{entity.url} was {entity.state} and takes no more messages.")


def client_key(key: str) -> str:
    """By which the log knows a message with a key again."""
    return f"inbox:{key}"


def delivering(entity: Entity, message: Message) -> Verb[Event]:
    """Append a checked message to an entity's log and wake it. The verb raises as `put`."""
    needs = Needs(streams=(entity.stream_id,), lookups=((AGENTS, entity.pk), (WAITING, entity.pk)))
    if not message.fresh:
        needs += Needs(
            rows=((entity.stream_id, "inbox", message.key),),
            keys=((entity.stream_id, client_key(message.key)),),
        )
    return Verb(lambda unit: put(unit, entity, message), needs)


def delivery(
    entity: Entity, sender: str, payload: Any, *, key: str = "", message_type: str = ""
) -> Verb[Event]:
    """Append a message to an entity's log and wake it. Sending the same again with its key changes nothing.

    Checked here, done where the verb is. Raises `InvalidInput`, `EntityStopped`; the verb raises
    `EntityStopped`, `KeyTaken` if it is another sender's key, and `KeyReused` if the message was another.
    """
    return delivering(entity, checked(entity, sender, payload, key=key, message_type=message_type))


def put(unit: Unit, entity: Entity, message: Message) -> Event:
    """Append a checked message and wake its receiver, within a unit. Raises as `delivery`."""
    entity = presence.current(unit, entity)
    _require_alive(entity)
    event = event_of(message, unit.now)
    cause = unit.provenance
    provenance = Provenance(message.sender, cause.wake, cause.run, cause.tool_call)
    found = _archived(unit, entity, message)
    if found is None:
        found = unit.append(entity.stream_id, [event], provenance=provenance, fresh=message.fresh)[0]
    if found.repeated and found.provenance.writer != message.sender:
        raise KeyTaken
    if found.repeated:
        require_same_message(message.key, message, found.value)
    else:
        wake.request_inbox(unit, entity, message.sender, found.offset)
        presence.stir(unit, entity)
    return found


def require_same_message(key: str, given: Message | None, stored: Json | None) -> None:
    """Raise `KeyReused` unless what is stored of a message says the same as this one, however it came."""
    kept = stored and {"payload": stored["payload"], "type": stored.get("message_type") or None}
    new = None
    if given is not None:
        payload = given.payload
        if given.filled is not None and kept is not None:
            payload = given.filled.beside(kept["payload"])
        new = {"payload": payload, "type": given.type or None}
    require_same(f"The message with key {key!r}", new, kept)


def event_of(message: Message, now: datetime) -> NewEvent:
    """The message as the log has it."""
    value = {
        "from": message.sender,
        "payload": message.payload,
        "message_type": message.type or None,
        "timestamp": log.iso(now),
    }
    return log.new("inbox", message.key, value, client_key=client_key(message.key))


def _archived(unit: Unit, entity: Entity, message: Message) -> Event | None:
    """A message with this key whose event was archived: its row is there still, and knows it again."""
    if message.fresh or unit.repeated(entity.stream_id, client_key(message.key)) is not None:
        return None
    row = unit.row(entity.stream_id, "inbox", message.key)
    if row is None:
        return None
    sender = Provenance(row.value["from"])
    return Event(
        row.stream, row.created, row.type, row.key, "insert", row.value, row.created_at, sender, repeated=True
    )
