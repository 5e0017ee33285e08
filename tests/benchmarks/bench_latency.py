"""From a message to its handler, and to the first text at a viewer: one process, offline model."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.table import Table, percentile

MESSAGES = 100
WARM_UP = 10


def run() -> Iterator[Table]:
    """Each database: p50 and p99 of both ways."""
    table = Table(
        "A message accepted, until its handler runs, and until a viewer has the first text",
        ("database", "handler p50 ms", "p99 ms", "first text p50 ms", "p99 ms"),
        notes=(
            "Accepted is when the sender's unit is committed; the viewer is a feed of the hub, rendered as "
            "for a websocket. One message at a time; aims: 10 and 25 ms p50 on SQLite.",
        ),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            handler, text = place.measure(f"{__name__}:converse", messages=MESSAGES)
        table.add(
            database,
            *(percentile(waits, share) * 1000 for waits in (handler, text) for share in (0.5, 0.99)),
        )
    yield table


def converse(messages: int) -> tuple[list[float], list[float]]:
    """Seconds from accepted to handler started, and to first text, for each message."""
    return asyncio.run(_converse(messages))


async def _converse(messages: int) -> tuple[list[float], list[float]]:
    from entities.api import NewEntity, deliver, registry, spawn
    from entities.worker.worker import Worker
    from shared_state.api import Principal
    from shared_state.live import session
    from shared_state.live.send_queue import SendQueue

    started: asyncio.Queue[float] = asyncio.Queue()

    async def handler(ctx: Any, wake: Any) -> None:
        started.put_nowait(time.perf_counter())
        await ctx.use_agent("Answer.").run()

    registry.define("latency")(handler)
    ada = Principal("user", "ada")
    worker = Worker()
    await worker.start()
    entity = await spawn(ada, NewEntity("latency", "one"))
    send_queue = SendQueue()
    await session.follow(send_queue, ada, session.Follow(id=1, stream=entity.url, codec="timeline"))
    handlers, texts = [], []
    for number in range(messages + WARM_UP):
        await deliver(ada, entity.url, f"Hello {number}")
        accepted = time.perf_counter()
        first = await _answered(send_queue)
        begun = await started.get()
        if number >= WARM_UP:
            handlers.append(max(0.0, begun - accepted))
            texts.append(first - accepted)
    await worker.stop(grace=2)
    await session.stop()
    return handlers, texts


async def _answered(send_queue: Any) -> float:
    """Wait for a run's end; answers when the first frame with text of the answer came."""
    first = 0.0
    while True:
        frame = await send_queue.get()
        if not first and ("textraw-" in frame or "data-finished" in frame):
            first = time.perf_counter()
        if "run-foot run-completed" in frame:
            return first
