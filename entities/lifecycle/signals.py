"""What people do to entities: signals, and the admin's levers. Each is a verb."""

from __future__ import annotations

import uuid

from entities import presence
from entities.catalog import log
from entities.exceptions import InvalidInput
from entities.lookups import AGENTS, BEGUN
from entities.models import Entity, Wake
from entities.wakes import lease
from shared_state.api import Needs, Unit, Verb

NOTHING, AGAIN = "nothing was running", "it was asked to stop before"
"""Outcomes of a signal, beside those that `lease` knows."""
SIGNALS = ("SIGINT",)
"""The signals that are delivered so far; see `spec.md`, section 8."""


def signalling(entity: Entity, name: str, sender: str, reason: str = "") -> Verb[str]:
    """Send a lifecycle signal. Answers its outcome, which the log holds too. Raises `InvalidInput`.

    The wake that is run now is to stop; so is one that was cut off or put off, when somebody goes on with it.
    The mark is the wake's, so it outlives every worker, and no other wake is stopped for it.
    """
    if name not in SIGNALS:
        raise InvalidInput(f"{name!r} is not a signal that can be sent; there is {', '.join(SIGNALS)}.")
    key = uuid.uuid4().hex

    def run(unit: Unit) -> str:
        me = presence.current(unit, entity)
        begun = min(unit.tables.find(BEGUN, me.pk), key=_first, default=None)
        outcome = NOTHING if begun is None else AGAIN if begun.interrupted_by else lease.INTERRUPTED
        before = me.status
        after = Entity.State.IDLE.value if before == "running" else before
        if begun is not None and not begun.interrupted_by:
            unit.tables.change(begun, interrupted_by=key)
        if begun is not None and begun.state == Wake.State.PENDING:
            unit.tables.change(begun, due_at=unit.now)  # to be stopped it need not wait for its next attempt
            unit.nudge("wake")
        elif begun is not None:
            unit.nudge(f"signal:{me.pk}:{begun.epoch}")
        moment = log.iso(unit.now)
        value = {
            "signal": name, "status": "handled", "sender": sender, "reason": reason or None,
            "outcome": outcome, "previous_state": before, "new_state": after,
            "timestamp": moment, "handled_at": moment, "handled_by": "runtime",
        }  # fmt: skip
        unit.append(me.stream_id, [log.new("signal", key, value)])
        return outcome

    return Verb(run, _needs(entity) + Needs(lookups=((BEGUN, entity.pk),)))


def _first(begun: Wake) -> tuple[bool, int]:
    """What is run now before what waits; of these what happened first."""
    return begun.state != Wake.State.CLAIMED, begun.number or 0


def releasing_lease(entity: Entity) -> Verb[bool]:
    """Take the lease from whoever holds it. Answers whether there was one."""

    def run(unit: Unit) -> bool:
        me = presence.current(unit, entity)
        if me.lease_expires_at is None:
            return False
        lease.free(unit, me)
        return True

    return Verb(run, _needs(entity))


def _needs(entity: Entity) -> Needs:
    return Needs((entity.stream_id,), lookups=((AGENTS, entity.pk),))
