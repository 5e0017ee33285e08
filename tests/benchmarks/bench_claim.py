"""Wake claims per second, through the real claim: lease, epoch, the wake's event, the live list."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.database import DATABASES, BenchDatabase, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.table import Table, percentile
from tests.support.processes import ROOT

ENTITIES = less(1200, 600)
BATCH = 10
OWNERS = 8


def run() -> Iterator[Table]:
    """For each database: one worker process, then four that share the work."""
    table = Table(
        f"Wake claims, {BATCH} at a time, {ENTITIES:,} due",
        ("database", "workers", "claims/s", "p50 ms", "p99 ms", "claimed twice"),
        notes=("A claim is a whole lease with its events; p50 and p99 are of one transaction of a batch.",),
    )
    for database in DATABASES:
        for workers in (1, 4):
            with bench_database(database) as place:
                place.measure(f"{__name__}:fill", entities=ENTITIES)
                table.add(database, workers, *_claimed(place, workers))
    yield table


def _claimed(place: BenchDatabase, workers: int) -> tuple[float, float, float, int]:
    """Let so many processes claim everything; they begin together, once all of them are ready."""
    command = [sys.executable, "-m", "tests.benchmarks.database", f"{__name__}:claim_all", json.dumps({})]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, cwd=ROOT, env=place.environment, **pipes) for _ in range(workers)]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    found: list[dict[str, Any]] = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        output, _ = process.communicate(timeout=300)
        found.append(json.loads(output.splitlines()[-1].partition(": ")[2]))
    claimed = [entity for one in found for entity in one["claimed"]]
    begin = min(one["begin"] for one in found)
    waits = [wait for one in found for wait in one["waits"]]
    seconds = max(one["end"] for one in found) - begin
    twice = len(claimed) - len(set(claimed))
    return len(claimed) / seconds, percentile(waits, 0.5) * 1000, percentile(waits, 0.99) * 1000, twice


def fill(entities: int) -> None:
    """Make entities, each with a message that waits."""
    asyncio.run(_fill(entities))


async def _fill(entities: int) -> None:
    from entities.api import NewEntity, registry, spawn
    from shared_state.api import Principal, in_thread

    await in_thread(registry.store)
    for first in range(0, entities, 100):  # so many in one transaction
        async with asyncio.TaskGroup() as group:
            for number in range(first, min(first + 100, entities)):
                owner = Principal("user", f"owner-{number % OWNERS}")
                group.create_task(spawn(owner, NewEntity("assistant", f"a{number}", message="Hello")))


def claim_all() -> dict[str, Any]:
    """Claim until nothing is due; answers what was claimed, when it began and ended, and each wait."""
    return asyncio.run(_claim_all())


async def _claim_all() -> dict[str, Any]:
    from entities.wakes import lease
    from shared_state.api import Provenance, in_thread, submit

    claimed: list[int] = []
    waits: list[float] = []
    await submit(lease.claiming("bench", 0), provenance=Provenance("system:bench"))
    print("ready", flush=True)
    sys.stdin.readline()
    begin = end = time.time()
    while True:
        before = time.perf_counter()
        found = await submit(lease.claiming("bench", BATCH), provenance=Provenance("system:bench"))
        if not found and not await in_thread(_left):
            break
        waits.append(time.perf_counter() - before)
        claimed += [one.entity.pk for one in found]
        end = time.time()
    return {"claimed": claimed, "begin": begin, "end": end, "waits": waits}


def _left() -> bool:
    from entities.models import Wake

    return Wake.objects.filter(state=Wake.State.PENDING).exists()
