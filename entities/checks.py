"""System checks: a fault in the settings is said at the start, with an id that stays.

entities.E001  ENTITIES is not a mapping
entities.E002  it has a key that is unknown
entities.E003  a value is of the wrong kind
entities.E004  a value must be more than zero
entities.E005  a provider cannot be had, or none is the default
entities.W006  the provider has no key
entities.E007  a message may be larger than the event that holds it
entities.E008  a board that a type declares shows a collection that the type does not have
"""

from __future__ import annotations

import inspect
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.utils.module_loading import import_string

from entities.conf import DEFAULT, ProviderSettings, conf
from entities.types.registry import registry
from shared_state.checks import faults_of
from shared_state.conf import conf as streams

ENVELOPE = 4096
"""How many bytes of an event are not the message."""


@register
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """The mapping ENTITIES, and what its values mean together."""
    faults = faults_of("entities", "ENTITIES", conf)
    return faults or [*_provider_faults(), *_size_faults()]


def _provider_faults() -> list[CheckMessage]:
    if DEFAULT not in conf.providers:
        hint = f"Give one of them this alias: {', '.join(sorted(conf.providers)) or 'there are none'}."
        return [Error(f"ENTITIES['PROVIDERS'] has no {DEFAULT!r}.", hint=hint, id="entities.E005")]
    return [fault for alias, chosen in conf.providers.items() for fault in _backend_faults(alias, chosen)]


def _backend_faults(alias: str, chosen: ProviderSettings) -> list[CheckMessage]:
    where = f"ENTITIES['PROVIDERS'][{alias!r}]"
    try:
        backend = import_string(chosen.backend)
    except ImportError as error:
        message = f"{where}: its BACKEND {chosen.backend!r} cannot be imported: {error}."
        return [Error(message, id="entities.E005")]
    try:
        inspect.signature(backend).bind(**chosen.options)
    except TypeError as error:
        return [Error(f"{where}: its OPTIONS do not fit {chosen.backend}: {error}.", id="entities.E005")]
    lacking = getattr(backend, "lacking", None)
    said = lacking(**chosen.options) if lacking is not None else ""
    return [Caution(f"{where}: {said}: every run will fail.", id="entities.W006")] if said else []


def _size_faults() -> list[CheckMessage]:
    if faults_of("shared_state", "SHARED_STATE", streams):
        return []  # said there
    room = streams.max_event_bytes - ENVELOPE
    if conf.max_message_bytes <= room:
        return []
    message = f"ENTITIES['MAX_MESSAGE_BYTES'] is {conf.max_message_bytes:,}; an event has room for {room:,}."
    return [Error(message, hint="Raise SHARED_STATE['MAX_EVENT_BYTES'] too.", id="entities.E007")]


@register
def check_boards(**kwargs: Any) -> list[CheckMessage]:
    """The boards of the registered types."""
    return [
        Error(
            f"{found.name}: its board reads the collection {name!r}, which it does not have.",
            hint=f"Its state has {', '.join(found.state) or 'no collections'}.",
            obj=found.place,
            id="entities.E008",
        )
        for found in registry.all()
        for board in found.boards
        if (name := (board.get("status") or {}).get("collection")) and name not in found.state
    ]
