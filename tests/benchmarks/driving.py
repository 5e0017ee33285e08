"""Callers that each do one thing after the other, and how long they wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.table import percentile


@dataclass(frozen=True, slots=True)
class Driven:
    """What so many callers did in a while, without the warm-up."""

    waits: list[float]
    seconds: float
    cpu: float
    done: int
    """How often it was done in all, with the warm-up and what ended late."""

    @property
    def rate(self) -> float:
        """How often a second."""
        return len(self.waits) / self.seconds

    @property
    def each(self) -> float:
        """Milliseconds of processor time for one."""
        return self.cpu / max(1, len(self.waits)) * 1000

    def milliseconds(self, share: float) -> float:
        """A percentile of the waits."""
        return percentile(self.waits, share) * 1000


async def driven(
    calls: Sequence[Callable[[], Awaitable[None]]],
    seconds: float,
    warm_up: float,
    cpu: Callable[[], float] = time.process_time,
) -> Driven:
    """Keep each of `calls` up for a while. `cpu` tells how much processor time was used so far."""
    begin = time.perf_counter() + warm_up
    end = begin + seconds
    waits: list[float] = []
    done = 0
    used = 0.0

    async def caller(call: Callable[[], Awaitable[None]]) -> None:
        nonlocal done
        while (before := time.perf_counter()) < end:
            await call()
            done += 1
            if before >= begin:
                waits.append(time.perf_counter() - before)

    async def watch() -> None:
        nonlocal used
        await asyncio.sleep(warm_up)
        used = cpu()
        await asyncio.sleep(seconds)
        used = cpu() - used

    await asyncio.gather(watch(), *map(caller, calls))
    return Driven(waits, seconds, used, done)
