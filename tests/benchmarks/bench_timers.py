"""Very many timers that are due in the same second, each of another agent."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.rows import analyze, make_agents
from tests.benchmarks.summary import Work
from tests.benchmarks.table import Table, percentile

TIMERS = less(20_000, 4_000)
OWNERS = 100
SOON = 2.0  # seconds until the first is due; the worker has started by then


def run() -> Iterator[Table]:
    """For each database: the rate, from the first due time to the last handler's end; and how late."""
    table = Table(
        f"{TIMERS:,} timers due in one second, one worker",
        ("database", "handled/s", "late p50 s", "p99 s", "s of processor in Python"),
        notes=(f"Each wakes another agent, of {OWNERS} owners. Late: from due to its handler's start.",),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            seconds, late, used = place.measure(f"{__name__}:due", timers=TIMERS)
        table.add(database, TIMERS / seconds, percentile(late, 0.5), percentile(late, 0.99), used)
        table.meets(Work.TIMERS, database, TIMERS / seconds)
    yield table


def due(timers: int) -> tuple[float, list[float], float]:
    """Seconds from the first due time until all is settled, how late each handler was, and processor time."""
    agents = [
        agent
        for owner in range(OWNERS)
        for agent in make_agents(f"user:owner-{owner}", timers // OWNERS, "timed", f"o{owner}-")
    ]
    return asyncio.run(_due(agents))


async def _due(agents: list[Any]) -> tuple[float, list[float], float]:
    from entities.api import registry
    from entities.worker.worker import Worker
    from shared_state.api import in_thread

    late, first = dict[str, float](), float("inf")
    all_begun = asyncio.Event()

    async def timed(ctx: Any, wake: Any) -> None:
        late[ctx.entity_url] = time.time() - due_at[ctx.entity_url]
        if len(late) == len(agents):
            all_begun.set()

    registry.define("timed")(timed)
    worker = Worker()
    await worker.start()
    due_at = await in_thread(lambda: _set(agents))
    first, used = min(due_at.values()), time.process_time()
    await all_begun.wait()
    await worker.idle.wait()
    took = time.time() - first
    used = time.process_time() - used
    await worker.stop()
    return took, list(late.values()), used


def _set(agents: list[Any]) -> dict[str, float]:
    """A timer for each agent, spread over one second that begins soon. Returns when each is due."""
    from django.utils import timezone

    from entities.models import Timer

    now = timezone.now()
    begin = now + timedelta(seconds=SOON + len(agents) / 10_000)
    timers = [
        Timer(
            entity=agent, sender="user:ada", payload="It is time.", key=f"timer-{number}", created_at=now,
            due_at=begin + timedelta(seconds=number / len(agents)),
        )
        for number, agent in enumerate(agents)
    ]  # fmt: skip
    Timer.objects.bulk_create(timers, batch_size=5_000)
    analyze()
    return {timer.entity.url: timer.due_at.timestamp() for timer in timers}
