"""Messages, spawns, claims and settlings per second, in process, by the public API and by how many call."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from functools import partial

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.driving import driven
from tests.benchmarks.options import less
from tests.benchmarks.table import Table, percentile

CALLERS = (1, 16, 64, 256)
SECONDS = less(3.0, 1.0)
WARM_UP = 0.5  # seconds; the first batches learn plans and fill caches
DUE = less(4000, 1000)


def run() -> Iterator[Table]:
    """For each database: what is done, by how many callers, the rate and how long one waits."""
    for database in DATABASES:
        table = Table(
            f"Verbs in one process, {database}",
            ("verb", "callers", "a second", "p50 ms", "p99 ms"),
            notes=(
                "Messages go to as many agents as there are callers; a spawn has a first message.",
                "A claim is of one agent out of many that are due, so are settlings; each caller does one.",
            ),
        )
        with bench_database(database) as place:
            # First: agents that got hundreds of messages each have them all settled by one wake.
            leases = place.measure(f"{__name__}:leases")
            for verb in ("deliver", "spawn"):
                for callers in CALLERS:
                    table.add(
                        verb, callers, *place.measure(f"{__name__}:measured", verb=verb, callers=callers)
                    )
            for name, figures in leases.items():
                table.add(name, 64, *figures)
        yield table


def measured(verb: str, callers: int) -> tuple[float, float, float]:
    """The rate of a verb, p50 and p99 in milliseconds."""
    return asyncio.run(_driven(verb, callers))


async def _driven(verb: str, callers: int) -> tuple[float, float, float]:
    from entities.api import NewEntity, deliver, registry, spawn
    from shared_state.api import Principal, in_thread

    await in_thread(registry.store)
    ada, mark, number = Principal("user", "ada"), time.time_ns(), itertools.count()
    agents = [await spawn(ada, NewEntity("assistant", f"to-{mark}-{n}")) for n in range(callers)]

    async def delivering(caller: int) -> None:
        await deliver(ada, agents[caller].url, "How are you?")

    async def spawning(caller: int) -> None:
        await spawn(ada, NewEntity("assistant", f"new-{mark}-{next(number)}", message="How are you?"))

    call = {"deliver": delivering, "spawn": spawning}[verb]
    found = await driven([partial(call, caller) for caller in range(callers)], SECONDS, WARM_UP)
    return found.rate, found.milliseconds(0.5), found.milliseconds(0.99)


def leases() -> dict[str, tuple[float, float, float]]:
    """Claim everything that is due, 64 at a time, and settle it."""
    return asyncio.run(_leases())


async def _leases() -> dict[str, tuple[float, float, float]]:
    from entities.api import NewEntity, registry, spawn
    from entities.wakes import lease
    from entities.worker.worker import claiming_due
    from shared_state.api import Principal, Provenance, in_thread, submit

    await in_thread(registry.store)
    ada, mark, provenance = Principal("user", "ada"), time.time_ns(), Provenance("system:bench")
    for first in range(0, DUE, 256):
        names = [f"due-{mark}-{n}" for n in range(first, min(first + 256, DUE))]
        await asyncio.gather(*(spawn(ada, NewEntity("assistant", name, message="Hi")) for name in names))
    claimed, claims, settles = [], [], []
    begin = time.perf_counter()
    while True:
        before = time.perf_counter()
        found, _ = await submit(claiming_due("bench", 64), provenance=provenance)
        if not found:
            break
        claims.append(time.perf_counter() - before)
        claimed += found
    took = time.perf_counter() - begin

    async def settle(one: lease.Claimed) -> None:
        before = time.perf_counter()
        await submit(lease.settling(one), provenance=provenance, fence=one.fence)
        settles.append(time.perf_counter() - before)

    begin = time.perf_counter()
    for first in range(0, len(claimed), 64):
        await asyncio.gather(*(settle(one) for one in claimed[first : first + 64]))
    settled = time.perf_counter() - begin
    return {
        "claim": (len(claimed) / took, *_percentiles(claims)),
        "settle": (len(claimed) / settled, *_percentiles(settles)),
    }


def _percentiles(waits: list[float]) -> tuple[float, float]:
    return percentile(waits, 0.5) * 1000, percentile(waits, 0.99) * 1000
