"""Messages: checked, appended, and the wake asked for, in one unit."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import orjson

from entities import presence
from entities.catalog import log
from entities.conf import conf
from entities.exceptions import EntityStopped, InvalidInput, KeyTaken, UnknownType
from entities.models import Entity
from entities.types.registry import registry, validated
from entities.wakes import wake
from shared_state.api import Event, Unit


def check(entity: Entity, payload: Any, message_type: str) -> Any:
    """The payload with its schema's defaults. Raises `InvalidInput`, `EntityStopped`."""
    if presence.is_over(entity):
        raise EntityStopped(f"{entity.url} was {entity.state} and takes no more messages.")
    try:
        size = len(orjson.dumps(payload))
    except TypeError as error:
        raise InvalidInput(f"A message must be JSON: {error}") from None
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
        return validated(None, payload, "message")
    return found.checked_message(message_type, payload)


def deliver(
    unit: Unit, entity: Entity, sender: str, payload: Any, *, key: str = "", message_type: str = ""
) -> Event:
    """Append a message to an entity's log and wake it. Sending again with the same key changes nothing.

    Raises `InvalidInput`, `EntityStopped`, and `KeyTaken` if it is another sender's key.
    """
    if "\x00" in f"{key}{message_type}":
        raise InvalidInput("Neither a key nor a message type may hold a NUL character.")
    presence.look_again(unit, entity)
    payload = check(entity, payload, message_type)
    key = key or uuid.uuid4().hex
    value = {
        "from": sender,
        "payload": payload,
        "message_type": message_type or None,
        "timestamp": log.iso(unit.now),
    }
    message = log.new("inbox", key, value, client_key=f"inbox:{key}")
    provenance = replace(unit.provenance, writer=sender)
    event = unit.append(entity.stream_id, [message], provenance=provenance)[0]
    if event.repeated and event.provenance.writer != sender:
        raise KeyTaken
    if not event.repeated:
        wake.request_inbox(unit, entity, sender, event.offset)
        presence.touch(unit, entity)
    return event
