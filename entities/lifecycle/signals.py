"""What people do to entities: signals, and the admin's levers. Each is one unit, and an event in the log."""

from __future__ import annotations

import uuid

from entities import presence
from entities.catalog import log
from entities.exceptions import InvalidInput
from entities.models import Entity, Wake
from entities.wakes import wake
from shared_state.api import Unit

SIGNALS = ("SIGINT",)
"""The signals that are delivered so far; see `spec.md`, section 8."""


def signal(unit: Unit, entity: Entity, name: str, sender: str, reason: str = "") -> str:
    """Send a lifecycle signal. Returns its outcome, which the log holds too. Raises `InvalidInput`."""
    if name not in SIGNALS:
        raise InvalidInput(f"{name!r} is not a signal that can be sent; there is {', '.join(SIGNALS)}.")
    presence.look_again(unit, entity)
    running = presence.lease_held(entity)
    outcome = "run interrupted" if running else "nothing was running"
    if running:
        epoch = unit.stream(entity.stream_id).epoch
        Entity.objects.filter(pk=entity.pk).update(interrupt_epoch=epoch)
        unit.nudge(f"signal:{entity.pk}")
    moment = log.iso(unit.now)
    value = {
        "signal": name, "status": "handled", "sender": sender, "reason": reason or None, "outcome": outcome,
        "previous_state": entity.status, "new_state": "idle" if running else entity.status,
        "timestamp": moment, "handled_at": moment, "handled_by": "runtime",
    }  # fmt: skip
    unit.append(entity.stream_id, [log.new("signal", uuid.uuid4().hex, value)])
    return outcome


def release_lease(unit: Unit, entity: Entity) -> bool:
    """Take the lease from whoever holds it: its writes are refused from now on, its wake is due again."""
    presence.look_again(unit, entity)
    if entity.lease_expires_at is None:
        return False
    unit.raise_epochs([entity.stream_id])
    Wake.objects.filter(entity=entity, state=Wake.State.CLAIMED).update(state=Wake.State.PENDING)
    presence.touch(unit, entity, lease_owner="", lease_expires_at=None)
    unit.nudge("wake")
    return True


def retry_parked(unit: Unit, parked: Wake) -> bool:
    """Make a parked wake due again."""
    parked.refresh_from_db(fields=("state",))
    if parked.state != Wake.State.PARKED:
        return False
    presence.look_again(unit, parked.entity)
    wake.retry(unit, parked)
    return True
