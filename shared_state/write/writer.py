"""The one door for writes: units run by one thread, many in one transaction (group commit).

A transaction costs an fsync and a dozen statements however little is in it; so the writer drains its queue,
lets `batch` run and commit what it found, announces, and only then answers every caller. While it waits for
the disk, the next batch gathers. The idea is the log writer's of every database; the figures are in
`docs/architecture.md`.

There are two lanes. What somebody waits for goes first; pieces of growing texts go along, some in each batch.
So five hundred agents that speak at once do not keep a message from being accepted. A large unit (a tool that
imported a thousand rows) would keep everybody waiting for as long as its one transaction takes. On PostgreSQL
it has a thread of its own, and only what is written to the same streams meanwhile waits for it, as for a
stream that a caller's transaction holds: in a third thread, see `held_up`. SQLite has one writer whatever we
do.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar
from weakref import WeakKeyDictionary

import structlog
from django.db import Error

from shared_state.conf import conf
from shared_state.core import database
from shared_state.core.types import Event, Fence, NewEvent, Provenance
from shared_state.exceptions import SharedStateError
from shared_state.write import batch, joined
from shared_state.write.fitting import check
from shared_state.write.held_up import HeldUp
from shared_state.write.job import Job
from shared_state.write.statements import on_postgres
from shared_state.write.unit import Unit

T = TypeVar("T")
log = structlog.get_logger(__name__)

BACKGROUND_AT_ONCE = 64
"""How many units of the background one transaction does, so that none takes long."""
LARGE = 100
"""From how many changes on a unit is large."""
LOCK_TIMEOUT, LONGEST_LOCK_TIMEOUT = 0.05, 0.5
"""How many seconds a batch waits for what somebody has locked; what is held up waits longer each time."""


class Lanes:
    """What waits to be written, in the order in which it came. For many who put and one who takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._urgent: deque[Job] = deque()
        self._background: deque[Job] = deque()
        self._open = True

    def put(self, jobs: Iterable[Job]) -> bool:
        """Queue units, all or none. False if these are closed."""
        with self._changed:
            if self._open:
                for job in jobs:
                    (self._background if job.background else self._urgent).append(job)
                self._changed.notify()
            return self._open

    def close(self) -> None:
        """Take no more; what waits is still taken."""
        with self._changed:
            self._open = False
            self._changed.notify()

    def take(self, most: int, *, wait: bool = True) -> list[Job]:
        """What waits, as soon as there is anything; nothing once these are closed and empty."""
        with self._changed:
            while wait and self._open and not self._urgent and not self._background:
                self._changed.wait()
            jobs = [self._urgent.popleft() for _ in range(min(most, len(self._urgent)))]
            # Some of the background in each batch, however many others there are, so that it never stands.
            some = min(BACKGROUND_AT_ONCE, max(1, most - len(jobs)), len(self._background))
            return jobs + [self._background.popleft() for _ in range(some)]


WRITER, LARGE_WRITER, WAITING_WRITER = "writer", "large writer", "waiting writer"
"""The threads of a process: for nearly everything; for large units; for units that are held up."""


class Writer:
    """A queue and a thread. There is one for each process and name, made when it has something to write.

    The thread of `WRITER` keeps its database connection for its whole life: opening one costs more than a
    commit. The others give theirs back, so that of a small pool as much is left for others as before.
    """

    def __init__(self, name: str = WRITER) -> None:
        self._lanes = Lanes()
        self._keeps_connection = name == WRITER
        self._left: list[Job] = []
        self._rounds = 0
        work = self._wait if name == WAITING_WRITER else self._hurry
        self._thread = threading.Thread(target=self._loop, args=(work,), name=name, daemon=True)
        self._thread.start()

    def put(self, jobs: Sequence[Job]) -> bool:
        """Queue units, all or none. False if this writer takes no more."""
        return self._lanes.put(jobs)

    def stop(self) -> None:
        """Write what is queued, then end the thread."""
        self._lanes.close()
        self._thread.join()

    def _loop(self, work: Callable[[Sequence[Job]], None]) -> None:
        while jobs := self._left + self._lanes.take(conf.batch_size, wait=not self._left):
            work(jobs)
            if not self._keeps_connection and not self._left:
                with suppress(Error):  # one that cannot be closed is replaced when it is needed
                    database.connection().close()
        database.connection().close()

    def _hurry(self, jobs: Sequence[Job]) -> None:
        """Write what need not wait for others; the rest is another thread's."""
        free, behind = _held_up.parted(jobs)
        left = _write(free, LOCK_TIMEOUT) if free else []
        _held_up.enter(left)
        if left or behind:
            _put([*left, *behind], WAITING_WRITER)
        _answer(_without(free, left))

    def _wait(self, jobs: Sequence[Job]) -> None:
        """Write what is not held any more; one by one, if it cannot be told which those are.

        From round to round it waits longer, so that who is held up gets its turn where many want the same.
        """
        lock_timeout = min(LOCK_TIMEOUT * 2**self._rounds, LONGEST_LOCK_TIMEOUT)
        left = _write(jobs, lock_timeout)
        _let_go(_without(jobs, left))
        if len(left) == len(jobs) > 1:
            left = batch.one_by_one(jobs, LOCK_TIMEOUT, lambda job: _let_go([job]))
        self._rounds = self._rounds + 1 if len(left) == len(jobs) else 0
        self._left = left


def _let_go(jobs: Sequence[Job]) -> None:
    """Units that were held up are done."""
    _held_up.leave(jobs)
    _answer(jobs)


def _without(jobs: Sequence[Job], left: Sequence[Job]) -> Sequence[Job]:
    waiting = set(left)
    return [job for job in jobs if job not in waiting] if waiting else jobs


def _write(jobs: Sequence[Job], lock_timeout: float) -> list[Job]:
    """Returns those that are held up."""
    try:
        return batch.write(jobs, lock_timeout)
    except BaseException as error:  # the thread must live, and every caller hear of it
        log.exception("batch_failed", units=len(jobs))
        for job in jobs:
            job.settle(error=error)
        return []


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


_writers: dict[str, Writer] = {}
_held_up = HeldUp()
_making = threading.Lock()


def writer(name: str = WRITER) -> Writer:
    """This process's writer of a name."""
    with _making:
        if name not in _writers:
            _writers[name] = Writer(name)
        return _writers[name]


def stop() -> None:
    """Write what is queued and end the threads; the next write starts another."""
    for name in (WRITER, LARGE_WRITER, WAITING_WRITER):  # the first leaves to the last what is held up
        with _making:
            stopped = _writers.pop(name, None)
        if stopped is not None:
            stopped.stop()


def _after_fork() -> None:
    """Threads do not survive a fork; the child makes its own writers."""
    global _making, _held_up
    _making, _held_up = threading.Lock(), HeldUp()
    _writers.clear()


os.register_at_fork(after_in_child=_after_fork)


_gathered: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Job]] = WeakKeyDictionary()
"""What the present turn of a loop has asked for so far."""


def _gather(loop: asyncio.AbstractEventLoop, job: Job) -> None:
    """Queue a unit at the end of the loop's turn, with the others of that turn.

    One by one, the first would wake the writer, and both threads take turns for the interpreter from then on:
    the batch would be small, and cost more time in waiting than in work.
    """
    _require_no_unit()
    if waiting := _gathered.get(loop):
        waiting.append(job)
        return
    _gathered[loop] = [job]
    loop.call_soon(_hand_over, loop)


def _hand_over(loop: asyncio.AbstractEventLoop) -> None:
    _put(_gathered.pop(loop))


def _put(jobs: Sequence[Job], name: str = WRITER) -> None:
    while not writer(name).put(jobs):
        pass  # stopped between these two; the next one is new


def _require_no_unit() -> None:
    if batch.in_unit.get():
        raise SharedStateError("A unit cannot wait for another unit: pass it the open one.")


async def submit(
    run: Callable[[Unit], T], *, provenance: Provenance, fence: Fence | None = None, changes: int = 1
) -> T:
    """Run a unit and wait for its commit. `changes`: about how many it makes, so that others do not wait.

    Raises what the unit raises, `StaleEpoch` if the fence is passed, `DatabaseError` if it cannot be written.
    Cancelling the caller does not undo it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    job = Job(provenance, fence, run, None, future, loop)
    if changes >= LARGE and on_postgres():
        _require_no_unit()
        _put([job], LARGE_WRITER)
    else:
        _gather(loop, job)
    return await future


async def append(
    stream: int,
    events: Sequence[NewEvent],
    *,
    provenance: Provenance,
    fence: Fence | None = None,
    background: bool = False,
) -> list[Event]:
    """Append to one stream and wait for the commit: the hot path, without a savepoint of its own.

    All events or none. In the background, others go first. Raises as `submit`, and what `exceptions` says of
    streams and rows.
    """
    check(events, provenance)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Event]] = loop.create_future()
    _gather(loop, Job(provenance, fence, None, (stream, events), future, loop, background=background))
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
    _put([job])
    return future.result()
