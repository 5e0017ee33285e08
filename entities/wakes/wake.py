"""Wakes: asked for in the transaction of their cause, inside a unit. What becomes of them is in `lease`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from entities.lookups import AGENTS, MERGEABLE, WAITING
from entities.models import Entity, Subscription, Wake
from shared_state.api import Needs, Unit, Verb, new_record

LONGEST_DEBOUNCES = 10
"""How many times its debounce a wake is put off at most, counted from the first change."""
MAX_CHANGES = 100
"""How many changes one wake lists; further ones only count."""


def request_inbox(unit: Unit, entity: Entity, source: str, offset: int) -> None:
    """Wake an entity for a message at an offset. Messages that wait together are handled together."""
    waiting = unit.tables.find(WAITING, entity.pk)
    if not waiting:
        _create(unit, entity.pk, reason=Wake.Reason.INBOX, source=source, from_offset=offset, due_at=unit.now)
    elif waiting[0].due_at > unit.now:
        unit.tables.change(waiting[0], due_at=unit.now)
    unit.nudge("wake")


def request_finished(
    unit: Unit, subscription: Subscription, observer: Entity, child: dict[str, Any], chain: Sequence[str] = ()
) -> None:
    """Wake an observer for a finished run. Never merged: each finished child is one report.

    `chain` names those whose ends led to this run.
    """
    payload: dict[str, Any] = {"finished_child": child}
    if chain:
        payload["chain"] = list(chain)
    _create(
        unit, observer.pk, reason=Wake.Reason.RUN_FINISHED, source=subscription.source_url,
        subscription_id=subscription.pk, payload=payload, due_at=unit.now,
    )  # fmt: skip
    unit.nudge("wake")


def request_change(
    unit: Unit, subscription: Subscription, observer: Entity, changes: list[dict[str, Any]]
) -> None:
    """Wake an observer for changed rows; merged with the subscription's waiting wake.

    It is due once nothing has changed for the debounce. Changes that keep coming put it off, but not for
    ever: to `LONGEST_DEBOUNCES` after the first one, and no later than the timeout.
    """
    debounce = timedelta(milliseconds=subscription.debounce_ms)
    due_at = unit.now + debounce
    # Whoever has it locked is claiming it.
    waiting = min(unit.tables.find(MERGEABLE, subscription.pk), key=lambda wake: wake.pk, default=None)
    if waiting is not None:
        since = waiting.changed_at or (waiting.created_at if waiting.payload.get("changes") else unit.now)
        due_at = min(due_at, since + LONGEST_DEBOUNCES * debounce)
        if subscription.timeout_ms is not None:
            due_at = min(due_at, waiting.created_at + timedelta(milliseconds=subscription.timeout_ms))
        payload = _merged(waiting.payload, changes)
        unit.tables.change(waiting, payload=payload, due_at=due_at, changed_at=since)
    else:
        if subscription.timeout_ms is not None:
            due_at = min(due_at, unit.now + timedelta(milliseconds=subscription.timeout_ms))
        _create(
            unit, observer.pk, reason=Wake.Reason.CHANGE, source=subscription.source_url,
            subscription_id=subscription.pk, payload=_merged({}, changes), due_at=due_at, changed_at=unit.now,
        )  # fmt: skip
    unit.nudge("wake")


def arm_timeout(unit: Unit, subscription: Subscription) -> None:
    """Make sure that the observer wakes after the subscription's timeout even if nothing changes."""
    if subscription.timeout_ms is None:
        return
    if not unit.tables.find(MERGEABLE, subscription.pk):
        _create(
            unit, subscription.observer_id, reason=Wake.Reason.CHANGE, source=subscription.source_url,
            subscription_id=subscription.pk, payload={"timeout": True, "changes": []},
            due_at=unit.now + timedelta(milliseconds=subscription.timeout_ms),
        )  # fmt: skip
        unit.nudge("wake")


def forget(unit: Unit, subscription: Subscription) -> None:
    """Withdraw what a subscription that ends is still waiting for. Finished children are reported anyway."""
    for waiting in unit.tables.find(MERGEABLE, subscription.pk):
        if waiting.reason == Wake.Reason.CHANGE:
            unit.tables.delete(waiting)


def requesting_manual(entity: Entity, source: str) -> Verb[None]:
    """Wake an entity because a person said so."""

    def run(unit: Unit) -> None:
        _create(unit, entity.pk, reason=Wake.Reason.MANUAL, source=source, due_at=unit.now)
        unit.nudge("wake")

    return Verb(run, Needs((entity.stream_id,), lookups=((AGENTS, entity.pk),)))


def _create(unit: Unit, entity: int, **fields: Any) -> Wake:
    return unit.tables.add(new_record(Wake, entity_id=entity, created_at=unit.now, **fields))


def _merged(payload: dict[str, Any], changes: list[dict[str, Any]]) -> dict[str, Any]:
    listed = [*payload.get("changes", []), *changes]
    count = payload.get("count", len(payload.get("changes", []))) + len(changes)
    return {"timeout": False, "changes": listed[:MAX_CHANGES], "count": count}
