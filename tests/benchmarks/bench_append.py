"""Appends per second through the public `append`, each one event and one row, and how long a caller waits."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.table import Table, percentile

CALLERS = (1, 16, 64)
SECONDS = less(3.0, 1.0)
WARM_UP = 0.5  # seconds; the first batches learn plans and fill caches


def run() -> Iterator[Table]:
    """For each database: callers, streams, rate and waiting."""
    for database in DATABASES:
        table = Table(
            f"Appends with a row folded, {database}",
            ("callers", "streams", "appends/s", "p50 ms", "p99 ms", "against one unit per event"),
            notes=("One event per unit is the same append as a unit function with its own transaction.",),
        )
        with bench_database(database) as place:
            for callers in CALLERS:
                alone = place.measure(f"{__name__}:alone", callers=callers)
                for streams in sorted({1, callers}):
                    rate, p50, p99 = place.measure(f"{__name__}:together", callers=callers, streams=streams)
                    table.add(callers, streams, rate, p50, p99, f"{rate / alone:.1f} times")
        yield table


def together(callers: int, streams: int, seconds: float = SECONDS) -> tuple[float, float, float]:
    """Appends per second, p50 and p99 in milliseconds, with group commit."""
    return asyncio.run(_drive(callers, streams, seconds))


def alone(callers: int, seconds: float = SECONDS / 2) -> float:
    """Appends per second if every event has a transaction of its own."""
    from django.conf import settings

    settings.SHARED_STATE = {"BATCH_SIZE": 1}
    return asyncio.run(_drive(callers, callers, seconds))[0]


async def _drive(callers: int, streams: int, seconds: float) -> tuple[float, float, float]:
    from shared_state.api import NewEvent, Provenance, append, submit
    from shared_state.write import writer

    number = itertools.count()
    provenance = Provenance("user:ada", "1", "1.0")

    async def make() -> int:
        path = f"/bench/{time.time_ns()}"
        return (
            await submit(lambda unit: unit.create_stream(path, "entity", "user:ada"), provenance=provenance)
        ).id

    places = [await make() for _ in range(streams)]
    waits: list[float] = []
    begin = time.perf_counter() + WARM_UP
    end = begin + seconds

    async def call(stream: int) -> None:
        while (before := time.perf_counter()) < end:
            n = next(number)
            event = NewEvent("note", f"note-{n}", _value(n))
            await append(stream, [event], provenance=provenance)
            if before >= begin:
                waits.append(time.perf_counter() - before)

    await asyncio.gather(*(call(places[n % streams]) for n in range(callers)))
    writer.stop()
    return len(waits) / seconds, percentile(waits, 0.5) * 1000, percentile(waits, 0.99) * 1000


def _value(n: int) -> dict[str, Any]:
    """About 250 bytes, as a short message has."""
    return {
        "key": f"note-{n}",
        "from": "user:ada",
        "payload": "A short message, as people write them. " * 4,
        "n": n,
    }
