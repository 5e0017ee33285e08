"""The background consumer: claims due wakes and runs them, many at once, in any number of processes.

A nudge tells it to look; a poll covers lost nudges and due timers; the database is the queue. Each worker
holds a file lock while it lives. The kernel drops it however the process ends, so another worker on the same
machine knows at once that it is dead and need not wait for its leases to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import socket
from collections.abc import Coroutine, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import structlog
from django.db import DatabaseError

from entities.agent.providers import close_providers
from entities.conf import conf
from entities.schedules import timers
from entities.types.registry import registry
from entities.upkeep.pruner import Pruner
from entities.wakes import lease, sql
from entities.worker import runtime
from entities.worker.runtime import Execution
from shared_state.api import Hint, Needs, Provenance, Unit, Verb, clock, in_thread, submit
from shared_state.notify import bus

logger = structlog.get_logger(__name__)
END_SECONDS = 5.0
"""How long what was cancelled may take to end, in seconds."""
MOST_AT_ONCE = 64
"""How many wakes one look claims, so that the first of them need not wait for many others."""
SHORTEST_POLL_SECONDS = 0.02
"""The shortest pause between two looks that nobody asked for, in seconds."""
PRUNING_PAUSE_SECONDS = 0.02
"""The pause between two transactions of the pruner, in seconds: it gives way to everybody."""


class Worker:
    """Use `start` and `stop` on one event loop. `idle` is set while it has nothing to run."""

    def __init__(self, *, concurrency: int | None = None) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.idle = asyncio.Event()
        self._concurrency = concurrency or conf.worker_concurrency
        self._running: dict[int, tuple[Execution, asyncio.Task[None]]] = {}
        self._look = asyncio.Event()
        self._alarm: datetime | None = None
        self._claiming: asyncio.Task[None] | None = None
        self._watching: list[asyncio.Task[None]] = []
        self._lock: IO[str] | None = None
        self._stopping = False
        self._pruner = Pruner(self.name)

    async def start(self) -> None:
        """Take the file lock, store the types, take back what the dead left, and begin."""
        self._loop = asyncio.get_running_loop()
        self._lock = _take_lock(self.name)
        await in_thread(registry.store)
        await self._recover(await in_thread(dead_workers))
        bus.listen(self._hear, self._room)
        self._look.set()
        self._claiming = self._spawn(self._claim_loop())
        loops = (self._watch_loop(), self._renew_loop(), self._prune_loop())
        self._watching = [self._spawn(loop) for loop in loops]

    async def stop(self, grace: float = 10.0) -> None:
        """Claim nothing more; let handlers finish for `grace` seconds, then hand their wakes back."""
        if self._stopping:
            return
        self._stopping = True
        bus.unlisten(self._hear)
        if self._claiming is not None:
            self._look.set()
            # A claim under way is finished: what it takes must be run, or given back.
            await _ended([self._claiming], END_SECONDS)
        running = [task for _, task in self._running.values()]
        await _ended(running, max(0.0, grace))
        await _ended(running, END_SECONDS, cancel=True)
        await _ended(self._watching, END_SECONDS, cancel=True)
        await self._let_go()
        await close_providers()
        _drop_lock(self.name, self._lock)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._loop.create_task(work)

    def _hear(self, hints: Sequence[Hint], nudges: Sequence[str]) -> None:
        """From the bus, in its thread."""
        if nudges:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                self._loop.call_soon_threadsafe(self._nudged, tuple(nudges))

    def _nudged(self, nudges: Sequence[str]) -> None:
        for nudge in nudges:
            kind, _, rest = nudge.partition(":")
            if kind == "signal":
                entity, _, epoch = rest.partition(":")
                self._interrupt(int(entity), int(epoch))
        self._look.set()

    # -- claiming

    async def _claim_loop(self) -> None:
        while not self._stopping:
            await self._guarded(self._wait)
            self._look.clear()
            await self._guarded(self._claim)

    async def _wait(self) -> None:
        """Until a nudge, the next due time, or the poll for lost nudges."""
        if self._look.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._look.wait(), self._pause())

    def _pause(self) -> float:
        """Seconds until there may be something to do that no nudge tells of."""
        if self._alarm is None or len(self._running) >= self._concurrency:
            return conf.poll_seconds
        # What is due but was not claimed is just being claimed elsewhere; do not spin over it.
        return min(conf.poll_seconds, max(SHORTEST_POLL_SECONDS, (self._alarm - clock.now()).total_seconds()))

    async def _claim(self) -> None:
        free = self._room()
        if free <= 0:
            return
        most = min(free, MOST_AT_ONCE)
        claimed, self._alarm = await self._unit(claiming_due(self.name, most))
        for found in claimed:
            self._run(found)
        self._note_idle()
        if len(claimed) == most:
            bus.publish([], ["wake"])  # there may be more: for this worker, or for another if it is full

    def _room(self) -> int:
        """How many more wakes it would run now. Called in any thread."""
        return 0 if self._stopping else self._concurrency - len(self._running)

    def _run(self, claimed: lease.Claimed) -> None:
        entity = claimed.entity.pk
        execution = runtime.prepare(claimed)
        task = self._spawn(runtime.execute(execution))
        known = self._running.get(entity)
        self._running[entity] = (execution, task)
        if known is not None:  # its lease was taken away meanwhile; its writes are refused already
            known[1].cancel()
        task.add_done_callback(partial(self._done, entity))

    def _done(self, entity: int, task: asyncio.Task[None]) -> None:
        if len(self._running) >= self._concurrency:
            self._look.set()  # there is room now for what could not be taken
        if entity in self._running and self._running[entity][1] is task:
            del self._running[entity]
        self._note_idle()

    def _note_idle(self) -> None:
        if self._running:
            self.idle.clear()
        else:
            self.idle.set()

    # -- watching over what runs

    async def _renew_loop(self) -> None:
        """Lengthen leases three times in their life; a run whose lease was lost is cancelled."""
        while True:
            await asyncio.sleep(conf.lease_seconds / 3)
            await self._guarded(self._renew)

    async def _renew(self) -> None:
        held = [execution.claimed for execution, _ in self._running.values()]
        if not held:
            return
        kept = await self._unit(lease.renewing(self.name, held))
        for claimed in held:
            execution, task = self._running.get(claimed.entity.pk, (None, None))
            # Settled meanwhile, or claimed anew: nothing was lost.
            if claimed.entity.pk in kept or execution is None or task is None:
                continue
            if execution.claimed is claimed and not execution.ending:
                logger.warning("lease_not_renewed", entity=claimed.entity.pk)
                task.cancel()

    async def _watch_loop(self) -> None:
        """Twice a second: signals whose nudge was lost, leases that ended, workers that died."""
        while True:
            await asyncio.sleep(min(0.5, 2 * conf.poll_seconds))
            await self._guarded(self._watch)

    async def _watch(self) -> None:
        asked, dead = await in_thread(_look_around, list(self._running))
        for entity, epoch in asked.items():
            self._interrupt(entity, epoch)
        if dead is not None:
            await self._recover(dead)

    async def _recover(self, dead: Sequence[str]) -> None:
        await self._unit(lease.recovering(dead_owners=dead))
        await in_thread(_forget, dead)

    def _interrupt(self, entity: int, epoch: int) -> None:
        """Stop the run that a signal was sent to, if it still runs: never the one after it."""
        found = self._running.get(entity)
        if found is not None and found[0].claimed.fence.epoch == epoch and found[0].interrupt():
            found[1].cancel()

    async def _prune_loop(self) -> None:
        """Now and then: what has served its time is removed, by one worker of all."""
        while True:
            await asyncio.sleep(conf.prune_seconds)
            await self._guarded(self._prune)

    async def _prune(self) -> None:
        more = True
        while more:
            step = asyncio.ensure_future(in_thread(self._pruner.step))
            try:
                more = await asyncio.shield(step)
            finally:  # who is stopped meanwhile lets go of what this step may just take
                await asyncio.wait([step])
            await asyncio.sleep(PRUNING_PAUSE_SECONDS)

    async def _let_go(self) -> None:
        """Another worker may prune at once, without waiting until this one's hold ends."""
        try:
            await in_thread(self._pruner.let_go)
        except DatabaseError as error:
            logger.warning("pruning_not_let_go", error=str(error))

    async def _guarded(self, step: Any) -> None:
        """A loop of the worker outlives a database that is away for a while."""
        try:
            await step()
        except Exception:
            logger.exception("worker_step_failed", step=getattr(step, "__name__", ""))
            await asyncio.sleep(1.0)

    async def _unit(self, run: Any) -> Any:
        return await submit(run, provenance=Provenance(f"system:{self.name}"))


def claiming_due(name: str, free: int) -> Verb[tuple[list[lease.Claimed], datetime | None]]:
    """Claim what is due; and when something will be that is not yet. Waits for nothing."""

    def run(unit: Unit) -> tuple[list[lease.Claimed], datetime | None]:
        timer, first = sql.next_timer_and_wake()
        if timer is not None and timer <= unit.now:
            timers.deliver_due(unit)
            unit.nudge("wake")  # what they woke is claimed by the next look, in a batch of its own
            return [], unit.now
        if first is None or first > unit.now:
            return [], min((moment for moment in (timer, first) if moment is not None), default=None)
        return lease.claim(unit, name, free), unit.now

    return Verb(run, Needs(tables=True))


def _look_around(running: Sequence[int]) -> tuple[dict[int, int], list[str] | None]:
    """Which of these runs are to stop, with epoch; if anything must be taken back, which workers are dead."""
    dead = dead_workers()
    asked = lease.interrupted(running) if running else {}
    return asked, dead if dead or lease.any_lost() else None


def dead_workers() -> list[str]:
    """Workers of this machine whose process is gone: their lock files are there, and free."""
    dead = []
    for path in conf.worker_lock_dir.glob("*.lock"):
        with contextlib.suppress(OSError), path.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            dead.append(path.stem)
    return dead


def _forget(dead: Sequence[str]) -> None:
    """Forget workers whose leases were taken back."""
    for name in dead:
        (conf.worker_lock_dir / f"{name}.lock").unlink(missing_ok=True)


def _take_lock(name: str) -> IO[str]:
    """The lock that proves this worker alive. It is in its place only once it is held."""
    directory: Path = conf.worker_lock_dir
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.lock"
    handle = path.with_suffix(".new").open("w")
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    Path(handle.name).rename(path)
    return handle


def _drop_lock(name: str, handle: IO[str] | None) -> None:
    if handle is not None:
        _forget([name])
        handle.close()


async def _ended(tasks: Sequence[asyncio.Task[None]], seconds: float, *, cancel: bool = False) -> None:
    """Wait for tasks, for so long at the most; what they raise is theirs, and logged."""
    await asyncio.sleep(0)  # one that was not begun could not give back what it holds
    if cancel:
        for task in tasks:
            task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        if cancel and not task.done():
            logger.error("task_not_ended", task=task.get_name(), seconds=seconds)
        elif task.done() and not task.cancelled() and task.exception() is not None:
            logger.error("task_failed", task=task.get_name(), error=repr(task.exception()))
