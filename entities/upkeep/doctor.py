"""The doctor: looks at everything that must hold, says what does not, and how to mend it. Changes nothing.

It may look at a database that is in use: what seems wrong with an agent or a log is looked at again, at last
while its stream is locked, and only what is still wrong then is said. It goes from stream to stream, so its
memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Exists, OuterRef, QuerySet

from entities import presence
from entities.models import Entity, Subscription, Timer, Wake
from entities.upkeep import logs
from entities.upkeep.finding import Finding
from entities.wakes import sql
from shared_state.api import clock, database
from shared_state.models import RowRecord, Stream

LATE = timedelta(minutes=10)
"""What nobody did for so long after it was due, nobody will do."""
WORKER = "Start a worker (`manage.py run_worker`), or see why it does not take it: its log says."
OPEN = (Wake.State.PENDING, Wake.State.CLAIMED, Wake.State.PARKED)


def examine() -> Iterator[Finding]:
    """All findings, as they come."""
    unready = list(_database())
    yield from unready
    if unready:
        return
    yield from logs.orphans()
    for stream in Stream.objects.order_by("pk").iterator(chunk_size=100):
        yield from _surely(stream)
    yield from _late_timers(clock.now())


def _database() -> Iterator[Finding]:
    try:
        with database.connection().cursor() as cursor:
            cursor.execute("SELECT 1")
        executor = MigrationExecutor(database.connection())
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield Finding(
            "database", f"it cannot be asked: {error}".strip(), "Start it, or correct DATABASE_URL."
        )
        return
    ours = [str(migration) for migration, _ in plan if migration.app_label in ("entities", "shared_state")]
    if ours:
        mend = f"Run `manage.py migrate --database {database.alias()}`."
        yield Finding("database", f"it lacks {len(ours)} migrations, {ours[0]} first.", mend)


def _surely(stream: Stream) -> list[Finding]:
    """What is wrong with a stream and its agent, also when looked at while nobody can change them."""
    if not _of_stream(stream):
        return []
    with database.atomic():
        locked = Stream.objects.select_for_update(no_key=True).filter(pk=stream.pk).first()
        return _of_stream(locked) if locked is not None else []


def _of_stream(stream: Stream) -> list[Finding]:
    found = logs.examine(stream)
    if stream.kind == Stream.Kind.ENTITY:
        found += _of_entity(stream)
    elif stream.kind == Stream.Kind.PRESENCE:
        found += _of_presence(stream)
    if not stream.observed and Subscription.objects.filter(source=stream).exists():
        mend = "Set `observed` of the stream: until then its subscribers hear nothing."
        found.append(Finding(stream.path, "it has subscribers and is not marked as observed.", mend))
    return found


def _of_entity(stream: Stream) -> list[Finding]:
    entity = Entity.objects.filter(stream=stream).first()
    if entity is None:
        if not stream.path.startswith("/") or stream.rows.filter(type="entity_created").first() is None:
            return []  # a project's own stream
        return [Finding(stream.path, "it is the log of an agent that is gone.", "Delete the stream.")]
    checks: tuple[Callable[[Stream, Entity], Iterator[Finding]], ...] = (_lease, _wakes, _waiting, _listed)
    return [finding for check in checks for finding in check(stream, entity)]


def _lease(stream: Stream, entity: Entity) -> Iterator[Finding]:
    """A lease and a claimed wake are one thing; its epoch is the stream's."""
    free = "Release its lease in the admin (Agents, the action of this name): its wake is due again then."
    claimed = list(Wake.objects.filter(entity=entity, state=Wake.State.CLAIMED)[:3])
    held = entity.lease_expires_at is not None
    if held != bool(entity.lease_owner):
        yield Finding(entity.url, "its lease has no owner, or its owner no lease.", free)
    if held and len(claimed) != 1:
        yield Finding(entity.url, f"its lease is held, and {len(claimed)} wakes are claimed.", free)
    if claimed and not held:
        mend = f"Set wake {claimed[0].pk} to pending: nobody runs it."
        yield Finding(entity.url, "a wake is claimed, and nobody holds the lease.", mend)
    if held and claimed and claimed[0].epoch != stream.epoch:
        what = f"its wake was claimed in epoch {claimed[0].epoch}; the log is at {stream.epoch}."
        yield Finding(entity.url, what, free)
    if entity.lease_expires_at is not None and entity.lease_expires_at < clock.now() - LATE:
        yield Finding(entity.url, "its lease ended long ago, and nobody took it back.", WORKER)


def _wakes(stream: Stream, entity: Entity) -> Iterator[Finding]:
    now, waits = clock.now(), entity.state not in sql.AT_REST_FOR_GOOD
    for wake in Wake.objects.filter(entity=entity, state__in=OPEN).defer("payload").iterator(chunk_size=100):
        where, ends = f"{entity.url} wake {wake.pk}", max(wake.to_offset - 1, wake.from_offset)
        if ends > stream.head:
            yield Finding(where, f"it reaches to {ends}, beyond the head {stream.head}.", logs.RESTORE)
        if (wake.number or 0) > entity.wake_count:
            what = f"it is number {wake.number}; the agent has counted {entity.wake_count}."
            yield Finding(where, what, f"Set `wake_count` of the agent to {wake.number}.")
        overdue = wake.state == Wake.State.PENDING and wake.due_at < now - LATE
        if overdue and waits and entity.lease_expires_at is None and not _is_behind(wake):
            yield Finding(where, f"it is due since {wake.due_at:%F %T}.", WORKER)
    unsettled = Wake.objects.filter(entity=entity, state=Wake.State.DONE, settled_at=None).first()
    if unsettled is not None:
        mend = "Set its `settled_at`; until then it is never pruned."
        yield Finding(f"{entity.url} wake {unsettled.pk}", "it is done, and was never settled.", mend)


def _is_behind(wake: Wake) -> bool:
    """Whether one of its entity goes before it, as `wakes.sql` has it."""
    begun = Wake.objects.filter(entity=wake.entity_id, state=Wake.State.PENDING, number__isnull=False)
    return begun.exclude(pk=wake.pk).exists()


def _waiting(stream: Stream, entity: Entity) -> Iterator[Finding]:
    """A message that waits, and a run that goes on, have a wake that will see to them."""
    if presence.is_over(entity) or Wake.objects.filter(entity=entity, state__in=OPEN).exists():
        return
    wake = "Wake it by hand (the admin's action `Wake now`)."
    for type, status, what in (
        ("inbox", "pending", "this message waits, and nothing will wake the agent for it."),
        ("run", "started", "this run goes on, and nobody runs it."),
    ):
        for row in _with_status(stream, type, status)[:10]:
            yield Finding(f"{entity.url} {type} {row.key}", what, wake)


def _with_status(stream: Stream, type: str, status: str) -> QuerySet[RowRecord]:
    return RowRecord.objects.filter(stream=stream, type=type, value__status=status).order_by("created")


def _listed(stream: Stream, entity: Entity) -> Iterator[Finding]:
    """Its line in its owner's list is there and says what it is."""
    mend = "Wake it by hand (the admin's action `Wake now`): that announces it anew."
    row = RowRecord.objects.filter(stream=entity.presence_id, type="agent", key=entity.url).first()
    if row is None:
        yield Finding(entity.url, "it is not in its owner's list of agents.", mend)
    elif entity.lease_expires_at is None and row.value.get("status") != entity.state:
        what = f"the list of agents says {row.value.get('status')}; it is {entity.state}."
        yield Finding(entity.url, what, mend)


def _of_presence(stream: Stream) -> list[Finding]:
    """Lines of the list whose agent is gone."""
    there = Entity.objects.filter(url=OuterRef("key"))
    gone = stream.rows.filter(~Exists(there), type="agent").order_by("pk").values_list("key", flat=True)
    mend = "Append a delete of its row to this stream."
    return [Finding(stream.path, f"it lists {key}, which is gone.", mend) for key in gone[:100]]


def _late_timers(now: datetime) -> Iterator[Finding]:
    late = Timer.objects.filter(due_at__lt=now - LATE).order_by("due_at").select_related("entity")
    for timer in late[:100]:
        where = f"{timer.entity.url} timer {timer.pk}"
        yield Finding(where, f"it was due at {timer.due_at:%F %T} and was not delivered.", WORKER)
