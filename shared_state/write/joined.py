"""A unit in the transaction that its caller has open: in the caller's thread, under a savepoint of its own.

It is the same unit as through the writer: the same write set, checks, fences and receivers. What differs is
who commits. So it is run exactly once, since only the caller could repeat what came before; and nothing is
said before the caller's commit, or ever, if the caller rolls back.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from shared_state.core import clock, database
from shared_state.exceptions import SharedStateError
from shared_state.write import batch
from shared_state.write.batch import Ending
from shared_state.write.job import Job
from shared_state.write.sql import dialect
from shared_state.write.unit import Unit
from shared_state.write.write_set import WriteSet


def is_open() -> bool:
    """Whether this thread is inside a transaction on the streams' database.

    Raises `SharedStateError` where autocommit is off: nobody would tell us there of the commit, and with
    SQLite the writer would wait for a lock that this thread holds.
    """
    connection = database.connection()
    if connection.in_atomic_block:
        return True
    if connection.connection is not None and not connection.get_autocommit():
        raise SharedStateError("A unit cannot join a transaction that is managed by hand; use atomic().")
    return False


def run(job: Job) -> Any:
    """Run a unit now. Raises what the unit raises, and then nothing of it is there.

    What it left for the end of a transaction (`Unit.later`) is done at its own end, within its savepoint:
    there is no moment just before somebody else's commit. So a unit locks its streams, then those put off,
    as ever; but the locks of all units in one transaction are held together until the caller commits, in the
    order in which they were run.
    """
    database.connection().validate_no_broken_transaction()
    try:
        return _run(job)
    except IntegrityError:
        # Another process made the same stream meanwhile. All is undone with the savepoint; it is there now.
        return _run(job)


def _run(job: Job) -> Any:
    write_set, ending = WriteSet(dialect(), clock.now(), waits=True), Ending()
    unit = Unit(write_set, job.provenance)
    token = batch.in_unit.set(True)
    try:
        with database.atomic():
            batch.lock(write_set, [job])
            batch.check_fence(write_set, job.fence)
            batch.run_guarded(write_set, job, unit)
            ending.take(unit)
            write_set.flush()
            ending.work()
            write_set.flush()
    finally:
        batch.in_unit.reset(token)
    transaction.on_commit(lambda: batch.announce(write_set, ending), using=database.alias())
    return job.result
