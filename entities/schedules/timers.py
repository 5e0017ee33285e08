"""Timers that are due become messages, in the unit that claims."""

from __future__ import annotations

import structlog

from entities.exceptions import EntitiesError
from entities.lifecycle import inbox
from entities.lifecycle.inbox import Message
from entities.lookups import AGENTS, TIMERS, WAITING
from entities.wakes import sql
from shared_state.api import SharedStateError, Unit

logger = structlog.get_logger(__name__)
AT_ONCE = 256
"""How many timers are delivered in one unit."""


def deliver_due(unit: Unit) -> int:
    """Deliver what is due, in a unit that has changed nothing so far. Returns how many timers there were.

    One whose receiver is gone is dropped; one whose receiver's log somebody else holds waits for its turn.
    """
    due = sql.due_timers(unit.now, AT_ONCE)
    stream_of = dict(due)
    held = unit.streams.hold(set(stream_of.values()))
    unit.tables.ask(TIMERS, [ident for ident, stream in due if stream in held])
    found = [unit.tables.one(TIMERS, ident) for ident, stream in due if stream in held]
    timers = [timer for timer in found if timer is not None]
    unit.tables.ask(AGENTS, [timer.entity_id for timer in timers])
    unit.tables.ask(WAITING, [timer.entity_id for timer in timers])
    places = [(stream_of[timer.pk], timer.key) for timer in timers]
    unit.prefetch(
        held,
        [(stream, "inbox", key) for stream, key in places],
        [(stream, inbox.client_key(key)) for stream, key in places],
    )
    for timer in timers:
        entity = unit.tables.one(AGENTS, timer.entity_id)
        # Stopped meanwhile, or its log was closed: nobody is there to hear of it, and what was refused once
        # must not keep the worker from its other work.
        try:
            if entity is not None:
                inbox.put(unit, entity, Message(timer.sender, timer.payload, timer.key, timer.message_type))
        except (EntitiesError, SharedStateError) as error:
            logger.warning("timer_dropped", entity=entity.url if entity else "", reason=str(error))
        unit.tables.delete(timer)
    return len(timers)
