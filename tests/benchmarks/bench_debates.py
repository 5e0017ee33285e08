"""Hundreds of debates at once: moderators, their workers, shared state, tools; the offline model."""

import asyncio
import time
from collections.abc import Iterator

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.summary import Work
from tests.benchmarks.table import Table

DEBATES = less(300, 40)
TOPIC = "Debate: should cities ban private cars?"
LOOK = 0.25  # seconds between two looks whether all have ruled


def run() -> Iterator[Table]:
    """For each database: how long until all have ruled, and what that took."""
    table = Table(
        f"{DEBATES} debates at once, one worker, offline model without pauses",
        ("database", "seconds", "of a core, Python", "ms of it each debate", "events", "wakes"),
        notes=("Two rounds, two workers and a moderator each; until the last has ruled and nobody runs.",),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            took, used, events, wakes = place.measure(f"{__name__}:debates", count=DEBATES)
        table.add(database, took, f"{used / took:.0%}", used / DEBATES * 1000, events, wakes)
        table.meets(Work.DEBATES, database, took * 300 / DEBATES)
    yield table


def debates(count: int) -> tuple[float, float, int, int]:
    """Seconds, seconds of processor time, events and wakes."""
    return asyncio.run(_debates(count))


async def _debates(count: int) -> tuple[float, float, int, int]:
    from entities.api import NewEntity, spawn
    from entities.models import Wake
    from entities.worker.worker import Worker
    from shared_state.api import Principal, in_thread
    from shared_state.models import EventRecord, RowRecord

    ruled = RowRecord.objects.filter(type="state:status", key="current", value__value="done")
    worker, ada = Worker(), Principal("user", "ada")
    await worker.start()
    began, used = time.perf_counter(), time.process_time()
    wanted = [NewEntity("debate", f"d{number}", message=TOPIC) for number in range(count)]
    await asyncio.gather(*(spawn(ada, one) for one in wanted))
    while await in_thread(ruled.count) < count:
        await asyncio.sleep(LOOK)
    await worker.idle.wait()
    took, used = time.perf_counter() - began, time.process_time() - used
    await worker.stop()
    return took, used, await in_thread(EventRecord.objects.count), await in_thread(Wake.objects.count)
