"""Leases: claimed with a wake, renewed, and ended when it is settled, put off, parked or given back.

All functions here are verbs or run inside a unit. One handler at a time per entity: the lease is two columns
of the entity, taken while its log is locked; its epoch is stored with the log, so that every write of a
holder who lost it is refused (fencing, after Kleppmann's "How to do distributed locking").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from entities import presence
from entities.catalog import log
from entities.catalog.sanitize import MAX_COMPLAINT, shortened, storable
from entities.conf import conf
from entities.exceptions import RunAborted
from entities.lookups import AGENTS, CLAIMED, WAKES
from entities.models import Entity, Wake
from entities.wakes import sql
from entities.wakes.cover import covered
from entities.wakes.reports import Report, reports
from entities.wakes.wake import request_inbox
from shared_state.api import (
    Fence,
    Needs,
    NewEvent,
    Provenance,
    SharedStateError,
    StaleEpoch,
    Unit,
    Verb,
    clock,
)

INTERRUPTED = "run interrupted"
"""The outcome of a signal that is to stop a run."""
TOO_LATE = "the run was over"
"""What it is corrected to if the handler came to its end before it heard."""
AFTER_RUN = "interrupted after its run"
"""The same if the handler was cut off, but its runs were over by then."""
LONGEST_PAUSE = 24 * 3600.0
"""A wake is put off for no longer, in seconds, whatever asks for it."""
MOST_GROWTH = 10
"""How often the wait before the next attempt grows at the most."""


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


# -- taking


def recovering(*, dead_owners: Collection[str] = ()) -> Verb[int]:
    """Take back what dead workers held: leases that ended, or whose owner is known to be dead.

    Those whose log somebody else holds are left for the next time. Their wakes are due at once. Answers how
    many entities were freed.
    """

    def run(unit: Unit) -> int:
        lost = dict(sql.lost_leases(unit.now, list(dead_owners)))
        held = unit.streams.hold(lost.values())
        freed = 0
        for pk, stream in sorted(lost.items()):
            entity = unit.tables.one(AGENTS, pk) if stream in held else None
            if entity is None or not _is_lost(unit, entity, dead_owners):
                continue
            free(unit, entity)
            freed += 1
        return freed

    return Verb(run, Needs(tables=True))


def _is_lost(unit: Unit, entity: Entity, dead_owners: Collection[str]) -> bool:
    until = entity.lease_expires_at
    return until is not None and (until <= unit.now or entity.lease_owner in dead_owners)


def free(unit: Unit, entity: Entity) -> None:
    """Take a lease from whoever holds it: its writes are refused from now on, its wake is due again."""
    unit.streams.raise_epoch(entity.stream_id)
    for wake in unit.tables.find(CLAIMED, entity.pk):
        unit.tables.change(wake, state=Wake.State.PENDING.value)
    presence.touch(unit, entity, lease_owner="", lease_expires_at=None)
    unit.nudge("wake")


def claiming(worker: str, limit: int) -> Verb[list[Claimed]]:
    """Take the leases of up to `limit` entities with due wakes, the longest due first. Waits for nothing."""
    return Verb(lambda unit: claim(unit, worker, limit), Needs(tables=True))


def claim(unit: Unit, worker: str, limit: int) -> list[Claimed]:
    """The same within a unit that has changed nothing so far. What somebody else holds is passed over."""
    due = sql.due_wakes(unit.now, limit)
    if not due:
        return []
    held = unit.streams.hold({stream for _, _, stream in due})
    found = [(wake, entity) for wake, entity, stream in due if stream in held]
    unit.tables.ask(AGENTS, [entity for _, entity in found])
    unit.tables.ask(WAKES, [wake for wake, _ in found])
    wakes: dict[int, Wake] = {}
    for ident, entity_id in found:  # two wakes of one entity: the first that was due remains
        wake = unit.tables.one(WAKES, ident)
        if wake is not None and entity_id not in wakes and _still_due(unit.tables.one(AGENTS, entity_id)):
            wakes[entity_id] = wake
    told = reports(unit, list(wakes.values()))
    claimed = []
    for entity_id, wake in wakes.items():
        entity = unit.tables.one(AGENTS, entity_id)
        assert entity is not None
        try:
            claimed.append(_take(unit, wake, entity, worker, told.get(wake.pk)))
        except SharedStateError as error:  # one that cannot be begun must not keep the others from it
            park(unit, entity, wake, f"This wake cannot be begun: {error}")
            presence.touch(unit, entity)
    if len(claimed) < len(due) == limit:  # several were of one entity, and hid what is due behind them
        unit.nudge("wake")
    return claimed


def _still_due(entity: Entity | None) -> bool:
    """Whether nobody has claimed or ended it between the look and the lock."""
    return entity is not None and entity.lease_expires_at is None and entity.state not in sql.AT_REST_FOR_GOOD


def _take(unit: Unit, wake: Wake, entity: Entity, worker: str, report: Report | None) -> Claimed:
    """One lease. Changes nothing if the wake cannot be written down; raises `SharedStateError` then."""
    first = wake.number is None
    number = entity.wake_count + 1 if first else wake.number
    fields: dict[str, Any] = {"number": number}
    if wake.reason != Wake.Reason.INBOX:
        fields |= _write_down(unit, wake, entity, f"w{number}", report)
    epoch = unit.streams.raise_epoch(entity.stream_id)
    rest = None
    if first:
        fields["to_offset"], rest = covered(unit, wake, entity)
    unit.tables.change(
        wake, state=Wake.State.CLAIMED.value, attempts=wake.attempts + 1, epoch=epoch, claimed_at=unit.now,
        **fields,
    )  # fmt: skip
    if rest is not None:
        request_inbox(unit, entity, rest.sender, rest.offset)
    presence.touch(
        unit, entity, lease_owner=worker, lease_expires_at=unit.now + timedelta(seconds=conf.lease_seconds),
        wake_count=max(entity.wake_count, number or 0),
        state=Entity.State.IDLE.value if entity.state == Entity.State.SPAWNING else entity.state,
    )  # fmt: skip
    wake.entity = entity
    return Claimed(wake, entity, Fence(entity.stream_id, epoch), first)


def _write_down(unit: Unit, wake: Wake, entity: Entity, key: str, report: Report | None) -> dict[str, Any]:
    """The wake as an event of the entity's own log, once. Returns what of the wake's record changes."""
    if unit.row(entity.stream_id, "wake", key) is not None:
        return {}
    payload = dict(wake.payload) | (report.payload if report else {})
    value = {
        "source": wake.source, "reason": wake.reason, "timeout": payload.get("timeout", False),
        "changes": payload.get("changes", []), "finished_child": payload.get("finished_child"),
        "other_children": payload.get("other_children", []),
        "more_children": payload.get("more_children", 0), "chain": payload.get("chain", []),
        "timestamp": log.iso(unit.now),
    }  # fmt: skip
    events = [log.new("wake", key, value), *(report.events if report else [])]
    return {"payload": payload, "from_offset": unit.append(entity.stream_id, events)[0].offset}


# -- holding and ending


def renewing(worker: str, held: Sequence[Claimed]) -> Verb[set[int]]:
    """Lengthen leases. Answers the entities that this worker still holds by them."""

    def run(unit: Unit) -> set[int]:
        until = unit.now + timedelta(seconds=conf.lease_seconds)
        kept = set()
        for claimed in held:
            entity = unit.tables.one(AGENTS, claimed.entity.pk)
            if entity is not None and _is_held(unit, entity, worker, claimed.fence):
                unit.tables.change(entity, lease_expires_at=until)
                kept.add(entity.pk)
        return kept

    streams = tuple(claimed.entity.stream_id for claimed in held)
    return Verb(run, Needs(streams, lookups=tuple((AGENTS, claimed.entity.pk) for claimed in held)))


def _is_held(unit: Unit, entity: Entity, worker: str, fence: Fence) -> bool:
    until = entity.lease_expires_at
    alive = until is not None and until > unit.now and entity.lease_owner == worker
    return alive and unit.stream(entity.stream_id).epoch == fence.epoch


def interrupted(entities: Collection[int]) -> dict[int, int]:
    """Those whose present run was asked to stop, with its epoch; covers a lost hint."""
    running = Wake.objects.filter(entity__in=entities, state=Wake.State.CLAIMED)
    return dict(running.exclude(interrupted_by="").values_list("entity_id", "epoch"))


def require_uninterrupted(unit: Unit, claimed: Claimed) -> None:
    """What is to end well was not asked to stop before. Raises `RunAborted` if it was."""
    if _wake(unit, claimed).interrupted_by:
        raise RunAborted


def settling(claimed: Claimed, *, by_itself: bool = True) -> Verb[None]:
    """The handler is done: the wake is done, the messages it covers are processed, the lease is free.

    `by_itself`: it came to its end, rather than being cut off. What a signal says of it is made true.
    """
    wake = claimed.wake

    def run(unit: Unit) -> None:
        _mark_processed(unit, claimed)
        now = _wake(unit, claimed)
        unit.tables.change(now, state=Wake.State.DONE.value, settled_at=unit.now, error="")
        if now.interrupted_by:
            _correct_outcome(unit, claimed, now, by_itself)
        _release(unit, claimed.entity, rested=True)

    needs = _needs(claimed)
    if wake.reason == Wake.Reason.INBOX:
        needs += Needs(ranges=((claimed.entity.stream_id, "inbox", wake.from_offset, wake.to_offset),))
    return Verb(run, needs)


def handing_back(claimed: Claimed) -> Verb[None]:
    """The worker is stopping: the wake is due again, at once, and this attempt does not count."""

    def run(unit: Unit) -> None:
        wake = _wake(unit, claimed)
        unit.tables.change(wake, state=Wake.State.PENDING.value, attempts=wake.attempts - 1)
        _release(unit, claimed.entity)

    return Verb(run, _needs(claimed))


def failing(
    claimed: Claimed, message: str, *,
    not_before: float = 0.0, closing: Iterable[tuple[str, list[NewEvent]]] = (),
) -> Verb[datetime | None]:  # fmt: skip
    """The handler raised: again after a while, growing fourfold; after the last attempt the wake is parked.

    `not_before` is the least wait in seconds, as a model's provider may ask for; `closing` ends its runs, by
    their keys, if there is to be no other attempt. Answers when it will be tried again, or `None` if it was
    parked.
    """

    def run(unit: Unit) -> datetime | None:
        wake, entity = _wake(unit, claimed), presence.current(unit, claimed.entity)
        if wake.interrupted_by:  # it is not tried again, but stopped: by whoever takes it next
            unit.tables.change(wake, state=Wake.State.PENDING.value, due_at=unit.now)
            _release(unit, entity)
            return unit.now
        for run_key, events in closing:
            provenance = Provenance(unit.provenance.writer, unit.provenance.wake, run_key)
            unit.append(entity.stream_id, events, provenance=provenance)
        if wake.attempts >= conf.max_attempts:
            park(unit, entity, wake, message)
            _release(unit, entity, state=Entity.State.ERROR.value)
            return None
        grown = conf.retry_seconds * 4 ** min(wake.attempts - 1, MOST_GROWTH)
        pause = min(max(grown, not_before), LONGEST_PAUSE)
        again: datetime = unit.now + timedelta(seconds=pause)
        error = shortened(storable(message), MAX_COMPLAINT)
        unit.tables.change(wake, state=Wake.State.PENDING.value, due_at=again, error=error)
        _release(unit, entity)
        return again

    return Verb(run, _needs(claimed))


def park(unit: Unit, entity: Entity, wake: Wake, message: str) -> None:
    """Give up on a wake until somebody retries it; say so in the log. Both as `tables` found them."""
    error = shortened(storable(message), MAX_COMPLAINT)
    unit.tables.change(wake, state=Wake.State.PARKED.value, error=error, settled_at=unit.now)
    unit.tables.change(entity, state=Entity.State.ERROR.value)
    value = {"error_code": "wake_parked", "message": message, "timestamp": log.iso(unit.now)}
    epoch = unit.stream(entity.stream_id).epoch
    unit.append(entity.stream_id, [log.new("error", f"w{wake.number}-parked-{epoch}", value)])


def retrying(parked: Wake) -> Verb[bool]:
    """Make a parked wake due again, with all its attempts. Answers whether it was parked."""
    entity = parked.entity

    def run(unit: Unit) -> bool:
        me = presence.current(unit, entity)
        wake = unit.tables.one(WAKES, parked.pk)
        if wake is None or wake.state != Wake.State.PARKED:
            return False
        unit.tables.change(
            wake, state=Wake.State.PENDING.value, attempts=0, due_at=unit.now, error="", settled_at=None
        )
        presence.touch(unit, me, state=Entity.State.IDLE.value)
        unit.nudge("wake")
        return True

    return Verb(run, Needs((entity.stream_id,), lookups=((AGENTS, entity.pk), (WAKES, parked.pk))))


def any_lost() -> bool:
    """Whether a lease ended without being given back."""
    return Entity.objects.filter(lease_expires_at__lte=clock.now()).exists()


def _needs(claimed: Claimed) -> Needs:
    entity = claimed.entity
    return Needs((entity.stream_id,), lookups=((AGENTS, entity.pk), (WAKES, claimed.wake.pk)))


def _wake(unit: Unit, claimed: Claimed) -> Wake:
    """The wake as it is now. Raises `StaleEpoch` if somebody deleted it: nothing is left to be settled."""
    found = unit.tables.one(WAKES, claimed.wake.pk)
    if found is None:
        raise StaleEpoch(f"{claimed.entity.url} has no wake {claimed.wake.pk} any more.")
    return found


def _release(unit: Unit, entity: Entity, *, rested: bool = False, **fields: Any) -> None:
    """End the lease. `rested`: all went well, so an error that was there before is over."""
    entity = presence.current(unit, entity)
    if rested and entity.state in (Entity.State.ERROR, Entity.State.SPAWNING):
        fields["state"] = Entity.State.IDLE.value
    unit.streams.raise_epoch(entity.stream_id)
    presence.touch(unit, entity, lease_owner="", lease_expires_at=None, **fields)
    unit.nudge("wake")


def _correct_outcome(unit: Unit, claimed: Claimed, wake: Wake, by_itself: bool) -> None:
    """The signal said that the run is interrupted; only now it is certain whether it was in time."""
    stream = claimed.entity.stream_id
    since = unit.rows_between(stream, "run", wake.from_offset, unit.stream(stream).head + 1)
    ends = [row.value["finish_reason"] for row in since if row.key.startswith(f"{wake.number}.")]
    signal = unit.row(stream, "signal", wake.interrupted_by)
    if signal is None or "aborted" in ends or not (by_itself or ends):
        return
    value = {**signal.value, "outcome": TOO_LATE if by_itself else AFTER_RUN}
    unit.append(stream, [log.new("signal", signal.key, value, "update")])


def _mark_processed(unit: Unit, claimed: Claimed) -> None:
    """Messages in the wake's range; later ones have a wake of their own."""
    if claimed.wake.reason != Wake.Reason.INBOX:
        return
    stream, moment = claimed.entity.stream_id, log.iso(unit.now)
    covered = unit.rows_between(stream, "inbox", claimed.wake.from_offset, claimed.wake.to_offset)
    events = [
        log.new("inbox", row.key, {**row.value, "status": "processed", "processed_at": moment}, "update")
        for row in covered
        if row.value["status"] == "pending"
    ]
    unit.append(stream, events)
