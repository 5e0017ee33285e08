"""What people do to entities: signals, and the admin's levers. Each is a verb."""

from __future__ import annotations

import uuid

from entities import presence
from entities.catalog import log
from entities.exceptions import InvalidInput
from entities.lookups import AGENTS
from entities.models import Entity
from entities.wakes import lease
from shared_state.api import Needs, Unit, Verb

SIGNALS = ("SIGINT",)
"""The signals that are delivered so far; see `spec.md`, section 8."""


def signalling(entity: Entity, name: str, sender: str, reason: str = "") -> Verb[str]:
    """Send a lifecycle signal. Answers its outcome, which the log holds too. Raises `InvalidInput`."""
    if name not in SIGNALS:
        raise InvalidInput(f"{name!r} is not a signal that can be sent; there is {', '.join(SIGNALS)}.")
    key = uuid.uuid4().hex

    def run(unit: Unit) -> str:
        me = presence.current(unit, entity)
        running = presence.lease_held(me)
        outcome = "run interrupted" if running else "nothing was running"
        before = me.status
        if running:
            epoch = unit.stream(me.stream_id).epoch
            unit.tables.change(me, interrupt_epoch=epoch)
            unit.nudge(f"signal:{me.pk}:{epoch}")
        moment = log.iso(unit.now)
        value = {
            "signal": name, "status": "handled", "sender": sender, "reason": reason or None,
            "outcome": outcome, "previous_state": before, "new_state": "idle" if running else before,
            "timestamp": moment, "handled_at": moment, "handled_by": "runtime",
        }  # fmt: skip
        unit.append(me.stream_id, [log.new("signal", key, value)])
        return outcome

    return Verb(run, _needs(entity))


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
