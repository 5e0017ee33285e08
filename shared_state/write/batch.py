"""Units in one transaction: each under its own savepoint, their events written in bulk, one commit for all.

A unit that fails is undone alone. One that loses a deadlock waits for the next transaction, where what it
touched is locked in order beforehand. A transaction that is lost as a whole is run again; if that does not
help, its units are run one by one, so that only the one at fault fails.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Sequence
from contextvars import ContextVar
from typing import Any

import structlog
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, transaction

from shared_state.core import clock, database, reconnect
from shared_state.core.types import Fence, Hint
from shared_state.exceptions import SharedStateError, StaleEpoch, StreamNotFound
from shared_state.models import EventRecord
from shared_state.notify import bus
from shared_state.write.held_up import sifted
from shared_state.write.job import Job
from shared_state.write.needs import NOTHING, Verb, needs_of
from shared_state.write.signals import events_appended
from shared_state.write.sql import ClientKey, RowKey, RowRange, dialect
from shared_state.write.streams import LateLock
from shared_state.write.tables import Lookup
from shared_state.write.unit import LastWork, Unit
from shared_state.write.write_set import WriteSet

log = structlog.get_logger(__name__)

CommitHook = Callable[[str], None]
commit_hook: CommitHook | None = None
"""For tests of recovery only: called with `before` and `after` around each commit, in the writer's thread."""

in_unit: ContextVar[bool] = ContextVar("in_unit", default=False)
"""Whether a unit is running here: it may not wait for another one."""

ATTEMPTS = 5
PAUSE = 0.01  # seconds; the pause before attempt n on a database that was lost is about 2**n times that
_LOCK_NOT_AVAILABLE = "55P03"
_LOST_RACES = frozenset({"40001", "40P01", _LOCK_NOT_AVAILABLE})  # serialization failure, deadlock


class _HopelessError(Exception):
    """Trying again could not help, or might do something twice; the cause says why."""


class _HeldUpError(Exception):
    """Somebody else holds what is needed, and it takes long."""


class Ending:
    """What the units of a transaction leave for its end, and for after it."""

    def __init__(self) -> None:
        self.nudges: dict[str, None] = {}
        self._postponed: dict[LastWork, dict[Hashable, tuple[Unit, Any]]] = {}

    def take(self, unit: Unit) -> None:
        """Remember what a unit left that is done."""
        self.nudges.update(dict.fromkeys(unit.nudges))
        for (work, key), value in unit.postponed.items():
            self._postponed.setdefault(work, {})[key] = (unit, value)

    def work(self) -> None:
        """Do what was put off."""
        for work, left in self._postponed.items():
            work(list(left.values()))


def write(jobs: Sequence[Job], lock_timeout: float | None = None) -> list[Job]:
    """Do jobs in as few transactions as it takes; each is settled then, with a result or an error.

    With `lock_timeout`, in seconds, those that would wait longer for what another holds are not done, and
    returned.
    """
    waiting, lost = list(jobs), 0
    held_up: list[Job] = []
    while waiting and lost < ATTEMPTS:
        try:
            _write_together(waiting, lock_timeout)
        except _HopelessError as hopeless:
            _fail(waiting, hopeless.__cause__)
            return held_up
        except IntegrityError as error:
            # Another process made the same stream or record: whoever comes second finds it there.
            _fail(waiting, error)
            if lost:
                break
            lost += 1
        except _HeldUpError:
            free, blocked = sifted(waiting)
            held_up += blocked or free  # all, if it is nothing that they named
            waiting = free if blocked else []
        except (OperationalError, InterfaceError) as error:
            lost += 1
            log.warning("transaction_lost", units=len(waiting), attempt=lost, error=str(error))
            _fail(waiting, error)
            reconnect.replace(database.connection())
            if lost > 1 and _sqlstate(error) not in _LOST_RACES:  # whoever won a race is done already
                time.sleep(random.uniform(0.5, 1.5) * PAUSE * 2**lost)  # noqa: S311  nothing secret
        except Exception as error:  # noqa: BLE001  each caller hears of it; who is at fault is found out below
            _fail(waiting, error)
            break
        else:
            waiting = [job for job in waiting if job.again]
            # One that comes to a stream late has it named the next time: that is progress, however often.
            lost += not all(isinstance(job.error, LateLock) for job in waiting)
    if len(waiting) > 1:
        held_up += one_by_one(waiting, lock_timeout)
    return held_up


def one_by_one(
    jobs: Sequence[Job], lock_timeout: float | None, done: Callable[[Job], None] = lambda job: None
) -> list[Job]:
    """`write` for each alone, and `done` with each that is settled.

    Returns those that are held up, and those that would overtake one of them.
    """
    left: list[Job] = []
    held: set[int] = set()
    for job in jobs:
        if held.isdisjoint(job.streams()) and not write([job], lock_timeout):
            done(job)
        else:
            left.append(job)
            held.update(job.streams())
    return left


def _fail(jobs: Sequence[Job], error: BaseException | None) -> None:
    for job in jobs:
        job.settle(error=error)


def _write_together(jobs: Sequence[Job], lock_timeout: float | None) -> None:
    """One transaction for all. Raises what it was lost by; then nothing of it is there."""
    ending, reached = Ending(), ["opening"]
    try:
        database.connection().ensure_connection()
    except Exception as error:
        raise _HopelessError from error
    clock.compare()
    write_set = WriteSet(dialect(), clock.now(), lock_timeout=lock_timeout)
    try:
        with database.atomic():
            reached.append("writing")
            transaction.on_commit(lambda: reached.append("committed"), using=database.alias())
            lock(write_set, jobs)
            for job in sorted(jobs, key=_reads_tables):
                _run(write_set, job, ending)
            write_set.flush()  # what may wait for others comes before streams that everybody locks last
            ending.work()
            write_set.flush()
            _call_hook("before")
            reached.append("committing")
    except Exception as error:
        if reached[-1] == "opening":  # no lock in all the time that there was for it
            raise _HopelessError from error
        if lock_timeout is not None and _sqlstate(error) == _LOCK_NOT_AVAILABLE:
            raise _HeldUpError from error
        if reached[-1] == "writing" or (reached[-1] == "committing" and not _was_committed(write_set, error)):
            raise
        log.exception("after_commit_failed")
    _call_hook("after")
    announce(write_set, ending)


def _reads_tables(job: Job) -> bool:
    """Whether a verb reads tables by statements of its own. These come last.

    Before one, what is in memory is written, and after it what was read beforehand for others may not be true
    any more, so they would each have to ask again. And a claim finds the messages of its own batch. All else
    is done in the order in which it was asked for.
    """
    return needs_of(job.run).tables


def announce(write_set: WriteSet, ending: Ending) -> None:
    """Say what was committed."""
    if write_set.appended or ending.nudges:
        hints = [Hint(stream, head) for stream, head in write_set.moved.items()]
        bus.publish(hints, list(ending.nudges), write_set.appended)


def _was_committed(write_set: WriteSet, error: Exception) -> bool:
    """Whether a commit happened that was not answered. Raises `_HopelessError` if that cannot be known."""
    lost = isinstance(error, OperationalError | InterfaceError) and not _sqlstate(error)
    if not lost or database.connection().vendor == "sqlite":
        return False
    if not write_set.appended:
        raise _HopelessError from error
    reconnect.replace(database.connection())
    last = write_set.appended[-1]
    try:
        with database.atomic():
            dialect().streams([last.stream])  # waits for the old transaction if that is not over
            found = EventRecord.objects.filter(stream=last.stream, offset=last.offset)
            return found.filter(timestamp=write_set.now, writer=last.provenance.writer).exists()
    except (OperationalError, InterfaceError):
        raise _HopelessError from error


def _call_hook(moment: str) -> None:
    if commit_hook is not None:
        commit_hook(moment)


def lock(write_set: WriteSet, jobs: Sequence[Job]) -> None:
    """Lock the streams that jobs have named, in order of id; then read what they have named."""
    streams: list[int] = []
    rows: list[RowKey] = []
    keys: list[ClientKey] = []
    ranges: list[RowRange] = []
    paths: list[str] = []
    lookups: dict[Lookup[Any], list[Any]] = {}
    for job in jobs:
        streams += job.streams()
        if job.plain is not None:
            stream, events = job.plain
            rows += [(stream, event.type, event.key) for event in events if event.fold]
            keys += [(stream, event.client_key) for event in events if event.client_key]
        elif (needs := needs_of(job.run)) is not NOTHING:
            rows += needs.rows
            keys += needs.keys
            ranges += needs.ranges
            paths += needs.paths
            for lookup, key in needs.lookups:
                lookups.setdefault(lookup, []).append(key)
    write_set.streams.lock(streams)
    write_set.streams.ask(paths)
    write_set.ask(rows, keys, ranges)
    for lookup, asked in lookups.items():
        write_set.tables.ask(lookup, asked)


def _run(write_set: WriteSet, job: Job, ending: Ending) -> None:
    """One unit; what it raises is its own, and undone."""
    try:
        check_fence(write_set, job.fence)
        if job.plain is not None and not write_set.streams.get(job.plain[0]).observed:
            return job.settle(write_set.append(*job.plain, job.provenance))
    except SharedStateError as error:
        return job.settle(error=error)
    if (job.plain is not None or isinstance(job.run, Verb)) and events_appended.whole:
        return _run_in_memory(write_set, job, ending)
    with write_set.streams.waiting_long():
        return _run_in_savepoint(write_set, job, ending)


def _run_in_memory(write_set: WriteSet, job: Job, ending: Ending) -> None:
    """A unit that changes nothing but what can be undone here."""
    if needs_of(job.run).tables:
        write_set.flush()
    mark = write_set.mark()
    unit = Unit(write_set, job.provenance)
    token, write_set.streams.whole = in_unit.set(True), True
    try:
        run_guarded(write_set, job, unit)
    except LateLock as late:
        write_set.undo(mark)
        job.late = (*job.late, late.stream)
        job.settle(error=late, again=True)
    except DatabaseError:
        raise  # what it asked has failed, and the transaction with it
    except BaseException as error:  # noqa: BLE001  also an exit: it is this unit's, not the writer's
        write_set.undo(mark)
        job.settle(error=error)
    else:
        ending.take(unit)
    finally:
        in_unit.reset(token)
        write_set.streams.whole = False


def _run_in_savepoint(write_set: WriteSet, job: Job, ending: Ending) -> None:
    """A unit that may use the ORM."""
    write_set.flush()  # outside of what the unit answers for
    mark = write_set.mark()
    unit = Unit(write_set, job.provenance)
    token = in_unit.set(True)
    try:
        with database.atomic():
            run_guarded(write_set, job, unit)
            write_set.flush()
    except BaseException as error:  # also an exit: it is this unit's, not the writer's
        held = list(write_set.streams)
        write_set.undo(mark)
        connection = database.connection()
        if connection.needs_rollback or connection.closed_in_transaction:
            raise  # the transaction is gone, not just this unit
        _settle_lost(job, error, held)
    else:
        ending.take(unit)
    finally:
        in_unit.reset(token)
        write_set.tables.forget()  # the ORM may have changed what they hold


def _settle_lost(job: Job, error: BaseException, held: Sequence[int]) -> None:
    """A unit that failed; it is run again if that was for no fault of its own."""
    again = _sqlstate(error) in _LOST_RACES
    if again:
        log.warning("unit_lost", error=str(error))
        job.late = tuple(held)
    elif isinstance(error, LateLock):
        job.late, again = (*job.late, error.stream), True
    elif isinstance(error, IntegrityError) and not job.collided:
        job.collided = again = True
    job.settle(error=error, again=again)


def run_guarded(write_set: WriteSet, job: Job, unit: Unit) -> None:
    """The unit itself, then those who observe what it appended; settles the job.

    Raises what they raise.
    """
    start = len(write_set.appended)
    if job.plain is not None:
        job.settle(unit.append(*job.plain))
    elif job.run is not None:
        job.settle(job.run(unit))
    observed = [event for event in write_set.appended[start:] if write_set.streams.get(event.stream).observed]
    if observed:
        events_appended.send(sender=Unit, unit=unit, events=observed)
    if not write_set.streams.whole and database.connection().needs_rollback:
        raise SharedStateError(
            "The unit marked its transaction for a rollback; raise an error to undo a unit."
        )


def check_fence(write_set: WriteSet, fence: Fence | None) -> None:
    """Raise `StaleEpoch` unless the right to write still holds."""
    if fence is None:
        return
    try:
        found = write_set.streams.get(fence.stream)
    except StreamNotFound:
        raise StaleEpoch(f"Stream {fence.stream} is gone; its writer was refused.") from None
    if found.epoch != fence.epoch:
        raise StaleEpoch(
            f"{found.path} is at epoch {found.epoch}, this writer held {fence.epoch}; it was refused."
        )


def _sqlstate(error: BaseException) -> str:
    """PostgreSQL's code for what happened; empty if the server did not say anything."""
    return getattr(error.__cause__, "sqlstate", None) or ""
