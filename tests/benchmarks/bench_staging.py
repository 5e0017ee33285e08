"""Changes inside one tool call: how long they take, and how long somebody else's message waits meanwhile."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.table import Table, percentile

INSERTS = (10, 100, 1_000)


def run() -> Iterator[Table]:
    """For each database and number of changes."""
    table = Table(
        "Inserts one after the other in one tool call",
        ("database", "inserts", "the call ms", "a message meanwhile p50 ms", "longest ms"),
        notes=(
            "The call's changes and its result are one commit. The message is somebody else's, accepted by "
            "the same writer; at rest it waits as long as `latency` says.",
        ),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            for inserts in INSERTS:
                took, waits = place.measure(f"{__name__}:imported", inserts=inserts)
                table.add(database, inserts, took * 1000, percentile(waits, 0.5) * 1000, max(waits) * 1000)
    yield table


def imported(inserts: int) -> tuple[float, list[float]]:
    """Seconds from the call's first line to its end with the commit, and waits of messages meanwhile."""
    return asyncio.run(_imported(inserts))


async def _imported(inserts: int) -> tuple[float, list[float]]:
    from entities.api import Collection, NewEntity, deliver, registry, spawn, tool
    from entities.worker.worker import Worker
    from shared_state.api import Principal

    began: list[float] = []
    ended = asyncio.Event()

    async def imports(ctx: Any, wake: Any) -> None:
        @tool
        async def load() -> str:
            """Import rows."""
            began.append(time.perf_counter())
            for number in range(inserts):
                await ctx.state.items.insert(key=f"{wake.from_offset}-{number}", text="x" * 100)
            return "done"

        async def note_end(step: Any) -> None:
            began.append(time.perf_counter())
            ended.set()

        answers: list[Any] = [[("load", {})], "done"]
        agent = ctx.use_agent("Import.", tools=[load], test_responses=answers, on_step_end=note_end)
        await agent.run()

    async def hears(ctx: Any, wake: Any) -> None:
        """Only listens."""

    registry.define("imports", state={"items": Collection()})(imports)
    registry.define("hears")(hears)
    worker, ada = Worker(), Principal("user", "ada")
    await worker.start()
    importer = await spawn(ada, NewEntity("imports", f"i-{inserts}"))
    listener = await spawn(ada, NewEntity("hears", f"l-{inserts}"))
    await deliver(ada, importer.url, "go")
    waits = []
    while not ended.is_set():
        sent = time.perf_counter()
        await deliver(ada, listener.url, "Hello")
        waits.append(time.perf_counter() - sent)
        await asyncio.sleep(0.005)
    await worker.stop()
    return began[1] - began[0], waits
