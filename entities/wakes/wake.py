"""Wakes: asked for in the transaction of their cause, claimed with a lease, settled or given back.

All functions run inside a unit. One handler at a time per entity: the lease is two columns of the entity,
taken by a conditional update; its epoch is stored with the entity's stream, so that every write of a holder
who lost it is refused (fencing, after Kleppmann's "How to do distributed locking").
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from entities import presence
from entities.catalog import log
from entities.catalog.sanitize import MAX_COMPLAINT, shortened, storable
from entities.conf import conf
from entities.models import Entity, Subscription, Wake
from entities.wakes import sql
from shared_state.api import Fence, SharedStateError, Unit, committed, database
from shared_state.models import RowRecord

MAX_RESPONSE = 64_000
"""How many bytes of what a finished child said its report holds; the rest is to be read in its log."""
MAX_CHANGES = 100
"""How many changes one wake lists; further ones only count."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A wake that this worker may run, and the right to write while it does."""

    wake: Wake
    entity: Entity
    fence: Fence
    first: bool
    """Whether nobody has begun it before."""

    @property
    def key(self) -> str:
        """The wake's key in the entity's log."""
        return f"w{self.wake.number}"


# -- asking


def request_inbox(unit: Unit, entity: Entity, source: str, offset: int) -> None:
    """Wake an entity for a message at an offset. Messages that wait together are handled together."""
    if not _unclaimed(entity=entity, reason=Wake.Reason.INBOX).exists():
        _create(unit, entity, reason=Wake.Reason.INBOX, source=source, from_offset=offset, due_at=unit.now)
    unit.nudge("wake")


def request_finished(unit: Unit, subscription: Subscription, child: dict[str, Any]) -> None:
    """Wake an observer for a finished run. Never merged: each finished child is one report."""
    observer = subscription.observer
    _create(
        unit, observer, reason=Wake.Reason.RUN_FINISHED, source=subscription.source_url,
        subscription=subscription, payload={"finished_child": child}, due_at=unit.now,
    )  # fmt: skip
    unit.nudge("wake")


def request_change(unit: Unit, subscription: Subscription, changes: list[dict[str, Any]]) -> None:
    """Wake an observer for changed rows, after its debounce; merged with the subscription's waiting wake."""
    due_at = unit.now + timedelta(milliseconds=subscription.debounce_ms)
    if not _merge_change(subscription, changes, due_at):
        _create(
            unit, subscription.observer, reason=Wake.Reason.CHANGE, source=subscription.source_url,
            subscription=subscription, payload=_merged({}, changes), due_at=due_at,
        )  # fmt: skip
    unit.nudge("wake")


def _merge_change(subscription: Subscription, changes: list[dict[str, Any]], due_at: datetime) -> bool:
    """Add changes to the subscription's waiting wake, unless there is none, or it is claimed just now."""
    waiting = _unclaimed(subscription=subscription).order_by("id")
    if database.connection().vendor == "postgresql":
        # Whoever has it locked is claiming it.
        waiting = waiting.select_for_update(skip_locked=True, of=("self",))
    found = waiting.first()
    if found is not None:
        Wake.objects.filter(pk=found.pk).update(payload=_merged(found.payload, changes), due_at=due_at)
    return found is not None


def arm_timeout(unit: Unit, subscription: Subscription) -> None:
    """Make sure that the observer wakes after the subscription's timeout even if nothing changes."""
    if subscription.timeout_ms is None:
        return
    if not _unclaimed(subscription=subscription).exists():
        _create(
            unit, subscription.observer, reason=Wake.Reason.CHANGE, source=subscription.source_url,
            subscription=subscription, payload={"timeout": True, "changes": []},
            due_at=unit.now + timedelta(milliseconds=subscription.timeout_ms),
        )  # fmt: skip
        unit.nudge("wake")


def forget(subscription: Subscription) -> None:
    """Withdraw what a subscription that ends is still waiting for. Finished children are reported anyway."""
    _unclaimed(subscription=subscription, reason=Wake.Reason.CHANGE).delete()


def request_manual(unit: Unit, entity: Entity, source: str) -> None:
    """Wake an entity because a person said so."""
    _create(unit, entity, reason=Wake.Reason.MANUAL, source=source, due_at=unit.now)
    unit.nudge("wake")


def _unclaimed(**which: Any) -> QuerySet[Wake]:
    """Wakes that more may be merged into: one that ran before keeps its range, whatever comes after."""
    return Wake.objects.filter(state=Wake.State.PENDING, number__isnull=True, **which)


def _create(unit: Unit, entity: Entity, **fields: Any) -> Wake:
    return Wake.objects.create(entity=entity, created_at=unit.now, **fields)


def _merged(payload: dict[str, Any], changes: list[dict[str, Any]]) -> dict[str, Any]:
    listed = [*payload.get("changes", []), *changes]
    count = payload.get("count", len(payload.get("changes", []))) + len(changes)
    return {"timeout": False, "changes": listed[:MAX_CHANGES], "count": count}


# -- claiming


def recover(unit: Unit, *, dead_owners: Collection[str] = ()) -> int:
    """Take back what dead workers held: leases that ended, or whose owner is known to be dead.

    Returns how many entities were freed. Their wakes are due at once.
    """
    lost = Q(lease_expires_at__lte=unit.now)
    if dead_owners:
        lost |= Q(lease_expires_at__isnull=False, lease_owner__in=list(dead_owners))
    held = Entity.objects.filter(lost)
    if database.connection().vendor == "postgresql":
        held = held.select_for_update(skip_locked=True)
    freed = list(held)
    for entity in freed:
        unit.raise_epochs([entity.stream_id])
        Wake.objects.filter(entity=entity, state=Wake.State.CLAIMED).update(state=Wake.State.PENDING)
        presence.touch(unit, entity, lease_owner="", lease_expires_at=None)
    if freed:
        unit.nudge("wake")
    return len(freed)


def claim(unit: Unit, worker: str, limit: int) -> list[Claimed]:
    """Take the leases of up to `limit` entities with due wakes, the longest due first.

    On PostgreSQL, rows that another worker is claiming are passed over (`SKIP LOCKED`).
    """
    idents = sql.due_wakes(unit.now, limit)
    if not idents:
        return []
    # Two wakes of one entity: the first that was due remains.
    found = Wake.objects.filter(pk__in=idents).select_related("entity", "subscription")
    by_entity = {wake.entity_id: wake for wake in found.order_by("-due_at", "-id")}
    wakes = sorted(by_entity.values(), key=lambda wake: (wake.due_at, wake.pk))
    epochs = unit.raise_epochs([wake.entity.stream_id for wake in wakes])
    claimed = []
    for wake in wakes:
        try:
            claimed.append(_take(unit, wake, worker, epochs[wake.entity.stream_id]))
        except SharedStateError as error:  # one that cannot be begun must not keep the others from it
            park(unit, wake.entity, wake, f"This wake cannot be begun: {error}")
            presence.touch(unit, wake.entity)
    if claimed:
        sql.store([one.wake for one in claimed])
    return claimed


def _take(unit: Unit, wake: Wake, worker: str, epoch: int) -> Claimed:
    """Work out what a claim changes in the wake and the entity; their rows are written after that.

    Changes neither if the wake cannot be written down. Raises `SharedStateError` then.
    """
    entity = wake.entity
    first = wake.number is None
    if first:
        wake.number = entity.wake_count + 1
    claimed = Claimed(wake, entity, Fence(entity.stream_id, epoch), first)
    if wake.reason != Wake.Reason.INBOX:
        _write_down(unit, claimed)
    if first:
        entity.wake_count += 1
        wake.to_offset = unit.stream(entity.stream_id).head + 1
    entity.lease_owner = worker
    entity.lease_expires_at = unit.now + timedelta(seconds=conf.lease_seconds)
    if entity.state == Entity.State.SPAWNING:
        entity.state = Entity.State.IDLE
    entity.last_activity_at = unit.now
    wake.state, wake.attempts = Wake.State.CLAIMED, wake.attempts + 1
    wake.epoch, wake.claimed_at = epoch, unit.now
    presence.announce(unit, entity)
    return claimed


def _write_down(unit: Unit, claimed: Claimed) -> None:
    """The wake as an event of the entity's own log, once; with what the finished child said."""
    wake, entity = claimed.wake, claimed.entity
    if unit.row(entity.stream_id, "wake", claimed.key) is not None:
        return
    payload = dict(wake.payload)
    if (child := payload.get("finished_child")) is not None:
        payload["finished_child"] = _with_response(wake, child)
        payload["other_children"] = _others(entity, child["url"])
    wake.payload = payload
    value = {
        "source": wake.source, "reason": wake.reason, "timeout": payload.get("timeout", False),
        "changes": payload.get("changes", []), "finished_child": payload.get("finished_child"),
        "other_children": payload.get("other_children", []), "timestamp": log.iso(unit.now),
    }  # fmt: skip
    events = [log.new("wake", claimed.key, value)]
    if child is not None:
        known = Entity.objects.filter(url=child["url"]).first()
        status = known.state if known is not None else Entity.State.STOPPED  # that it still rests is no news
        events += [_child_status(each) for each in (child | {"status": status}, *payload["other_children"])]
    wake.from_offset = unit.append(entity.stream_id, events)[0].offset
    Wake.objects.filter(pk=wake.pk).update(payload=payload, from_offset=wake.from_offset)


def _child_status(child: dict[str, Any]) -> Any:
    value = {"entity_url": child["url"], "entity_type": child["type"], "status": child["status"]}
    return log.new("child_status", child["url"], value, "upsert")


def _with_response(wake: Wake, child: dict[str, Any]) -> dict[str, Any]:
    """The texts of the finished run; it is over, so they do not change any more."""
    if wake.subscription is None or not wake.subscription.include_response:
        return child
    child_stream = wake.subscription.source_id
    run = committed.row(child_stream, "run", child["run_id"])
    if run is None:
        return child
    later = RowRecord.objects.filter(stream=child_stream, created__gt=run.created)
    texts = later.filter(type="text", value__run_id=run.key)
    said = [row.value["content"] for row in texts.order_by("created") if row.value.get("content")]
    return {**child, "response": shortened("\n\n".join(said), MAX_RESPONSE)}


def _others(entity: Entity, finished: str) -> list[dict[str, str]]:
    siblings = entity.children.exclude(url=finished).order_by("id")[:MAX_CHANGES]
    return [{"url": child.url, "type": child.type, "status": child.status} for child in siblings]


# -- holding and ending


def renew(unit: Unit, worker: str, entities: Collection[int]) -> set[int]:
    """Lengthen leases. Returns the entities that this worker still holds."""
    held = Entity.objects.filter(pk__in=entities, lease_owner=worker, lease_expires_at__gt=unit.now)
    kept = set(held.values_list("pk", flat=True))
    until = unit.now + timedelta(seconds=conf.lease_seconds)
    Entity.objects.filter(pk__in=kept).update(lease_expires_at=until)
    return kept


def interrupted(entities: Collection[int]) -> set[int]:
    """Those whose present run was asked to stop; covers a lost hint."""
    asked = Entity.objects.filter(pk__in=entities, interrupt_epoch__gt=0, interrupt_epoch=F("stream__epoch"))
    return set(asked.values_list("pk", flat=True))


def settle(unit: Unit, claimed: Claimed) -> None:
    """The handler is done: the wake is done, the messages it covers are processed, the lease is free."""
    _mark_processed(unit, claimed)
    Wake.objects.filter(pk=claimed.wake.pk).update(state=Wake.State.DONE, settled_at=unit.now, error="")
    _release(unit, claimed.entity, rested=True)


def hand_back(unit: Unit, claimed: Claimed) -> None:
    """The worker is stopping: the wake is due again, at once, and this attempt does not count."""
    wake = Wake.objects.filter(pk=claimed.wake.pk)
    wake.update(state=Wake.State.PENDING, attempts=F("attempts") - 1)
    _release(unit, claimed.entity)


def fail(unit: Unit, claimed: Claimed, message: str, *, not_before: float = 0.0) -> datetime | None:
    """The handler raised: again after a while, growing fourfold; after the last attempt the wake is parked.

    `not_before` is the least wait in seconds, as a model's provider may ask for. Returns when it will be
    tried again, or `None` if it was parked.
    """
    wake = claimed.wake
    if wake.attempts >= conf.max_attempts:
        park(unit, claimed.entity, wake, message)
        _release(unit, claimed.entity, state=Entity.State.ERROR)
        return None
    pause = max(conf.retry_seconds * 4 ** (wake.attempts - 1), not_before)
    again: datetime = unit.now + timedelta(seconds=pause)
    error = shortened(storable(message), MAX_COMPLAINT)
    Wake.objects.filter(pk=wake.pk).update(state=Wake.State.PENDING, due_at=again, error=error)
    _release(unit, claimed.entity)
    return again


def park(unit: Unit, entity: Entity, wake: Wake, message: str) -> None:
    """Give up on a wake until somebody retries it; say so in the log."""
    error = shortened(storable(message), MAX_COMPLAINT)
    Wake.objects.filter(pk=wake.pk).update(state=Wake.State.PARKED, error=error, settled_at=unit.now)
    Entity.objects.filter(pk=entity.pk).update(state=Entity.State.ERROR)
    entity.state = Entity.State.ERROR
    value = {"error_code": "wake_parked", "message": message, "timestamp": log.iso(unit.now)}
    epoch = unit.stream(entity.stream_id).epoch
    unit.append(entity.stream_id, [log.new("error", f"w{wake.number}-parked-{epoch}", value)])


def retry(unit: Unit, wake: Wake) -> None:
    """Make a parked wake due again, with all its attempts."""
    Wake.objects.filter(pk=wake.pk).update(
        state=Wake.State.PENDING, attempts=0, due_at=unit.now, error="", settled_at=None
    )
    presence.touch(unit, wake.entity, state=Entity.State.IDLE)
    unit.nudge("wake")


def any_lost() -> bool:
    """Whether a lease ended without being given back."""
    return Entity.objects.filter(lease_expires_at__lte=timezone.now()).exists()


def _release(unit: Unit, entity: Entity, *, rested: bool = False, **fields: Any) -> None:
    """End the lease. `rested`: all went well, so an error that was there before is over."""
    entity.refresh_from_db(fields=("state", "title", "tags"))
    if rested and entity.state in (Entity.State.ERROR, Entity.State.SPAWNING):
        fields["state"] = Entity.State.IDLE
    unit.raise_epochs([entity.stream_id])
    presence.touch(unit, entity, lease_owner="", lease_expires_at=None, interrupt_epoch=0, **fields)
    unit.nudge("wake")


def _mark_processed(unit: Unit, claimed: Claimed) -> None:
    """Messages in the wake's range; later ones have a wake of their own."""
    if claimed.wake.reason != Wake.Reason.INBOX:
        return
    stream, moment = claimed.entity.stream_id, log.iso(unit.now)
    waiting = RowRecord.objects.filter(
        stream=stream, type="inbox", created__gte=claimed.wake.from_offset, created__lt=claimed.wake.to_offset
    )
    events = [
        log.new("inbox", row.key, {**row.value, "status": "processed", "processed_at": moment}, "update")
        for row in waiting
        if row.value["status"] == "pending"
    ]
    unit.append(stream, events)
