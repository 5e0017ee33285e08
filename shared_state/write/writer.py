"""The one door for writes: units run by one thread, many in one transaction (group commit).

A transaction costs an fsync and a dozen statements however little is in it; so the writer drains its queue,
lets `batch` run and commit what it found, announces, and only then answers every caller. While it waits for
the disk, the next batch gathers. The idea is the log writer's of every database; the figures are in
`docs/architecture.md`.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import structlog

from shared_state.conf import conf
from shared_state.core import database
from shared_state.core.types import Event, Fence, NewEvent, Provenance
from shared_state.exceptions import SharedStateError
from shared_state.write import batch, joined
from shared_state.write.batch import Job
from shared_state.write.fitting import check
from shared_state.write.unit import Unit

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Writer:
    """A queue and a thread. There is one for each process, made at the first write.

    The thread keeps its database connection for its whole life: opening one costs more than a commit.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._open = True
        self._door = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="writer", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> bool:
        """Queue a unit. False if this writer takes no more."""
        with self._door:
            if self._open:
                self._jobs.put(job)
            return self._open

    def stop(self) -> None:
        """Write what is queued, then end the thread."""
        with self._door:
            self._open = False
            self._jobs.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while jobs := self._gather():
            self._write(jobs)
        database.connection().close()

    def _gather(self) -> list[Job]:
        """What waits, as soon as there is anything; nothing if the writer is to end."""
        most = conf.batch_size
        jobs: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) >= most:
                return jobs
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs
        if jobs:
            self._jobs.put(None)  # seen too early: end after these
        return jobs

    def _write(self, jobs: list[Job]) -> None:
        try:
            batch.write(jobs)
        except BaseException as error:  # the thread must live, and every caller hear of it
            log.exception("batch_failed", units=len(jobs))
            for job in jobs:
                job.settle(error=error)
        _answer(jobs)


def _answer(jobs: Sequence[Job]) -> None:
    """Tell the callers; those of one event loop at once, since waking a loop costs a system call."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, waiting in by_loop.items():
        if loop is None:
            _resolve(waiting)
            continue
        try:
            loop.call_soon_threadsafe(_resolve, waiting)
        except RuntimeError:  # the loop was closed while we wrote; nobody waits any more
            log.info("answer_unheard", units=len(waiting))


def _resolve(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.future.done():  # the caller was cancelled
            continue
        if job.error is None:
            job.future.set_result(job.result)
        elif isinstance(job.error, StopIteration):  # asyncio does not let it through
            job.future.set_exception(RuntimeError("A unit raised StopIteration."))
        else:
            job.future.set_exception(job.error)


_writer: Writer | None = None
_making = threading.Lock()


def writer() -> Writer:
    """This process's writer."""
    global _writer
    with _making:
        if _writer is None:
            _writer = Writer()
        return _writer


def stop() -> None:
    """Write what is queued and end the thread; the next write starts another."""
    global _writer
    with _making:
        stopped, _writer = _writer, None
    if stopped is not None:
        stopped.stop()


def _after_fork() -> None:
    """Threads do not survive a fork; the child makes its own writer."""
    global _writer, _making
    _writer, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _put(job: Job) -> None:
    _require_no_unit()
    while not writer().put(job):
        pass  # stopped between these two; the next one is new


def _require_no_unit() -> None:
    if batch.in_unit.get():
        raise SharedStateError("A unit cannot wait for another unit: pass it the open one.")


async def submit(
    run: Callable[[Unit], T], *, provenance: Provenance, fence: Fence | None = None, rehearse: bool = False
) -> T:
    """Run a unit and wait for its commit. `rehearse` undoes it again and answers what it would have.

    Raises what the unit raises, `StaleEpoch` if the fence is passed, `DatabaseError` if it cannot be written.
    Cancelling the caller does not undo it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    _put(Job(provenance, fence, run, None, future, loop, rehearse))
    return await future


async def append(
    stream: int, events: Sequence[NewEvent], *, provenance: Provenance, fence: Fence | None = None
) -> list[Event]:
    """Append to one stream and wait for the commit: the hot path, without a savepoint of its own.

    All events or none. Raises as `submit`, and what `exceptions` says of streams and rows.
    """
    check(events, provenance)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Event]] = loop.create_future()
    _put(Job(provenance, fence, None, (stream, events), future, loop))
    return await future


def unit(run: Callable[[Unit], T], *, provenance: Provenance, fence: Fence | None = None) -> T:
    """`submit` for callers that may block. Inside `atomic()` it joins the caller's transaction.

    Then it is run here and once, under a savepoint: if it raises, it alone is undone and the caller goes on.
    Hints go out at the caller's commit. Until that, the caller holds the locks of the streams that it wrote
    to, which others, the writer too, wait for: commit soon, and wait for no async call in between. A caller
    whose units touch several streams may lose a deadlock on PostgreSQL: the `OperationalError` is its to
    handle, by doing all of its transaction again.
    """
    _require_no_unit()
    future: Future[T] = Future()
    job = Job(provenance, fence, run, None, future, None)
    if joined.is_open():
        return joined.run(job)  # type: ignore[no-any-return]
    _put(job)
    return future.result()
