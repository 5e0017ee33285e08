"""From a message to its handler, and to the first text at a viewer: one process, offline model."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.summary import Work
from tests.benchmarks.table import Table, percentile

MESSAGES = less(100, 40)
WARM_UP = 10


def run() -> Iterator[Table]:
    """Each database: p50 and p99 of both ways."""
    table = Table(
        "A message accepted, until its handler runs, and until a viewer has the first text",
        ("database", "agent", "handler p50 ms", "p99 ms", "first text p50 ms", "p99 ms"),
        notes=(
            "Accepted is when the sender's unit is committed; the viewer is a feed of the hub, rendered as "
            "for a websocket. One message at a time.",
            "At rest: each message is the first for its agent, made beforehand; active: all are for one.",
        ),
    )
    for database in DATABASES:
        for name, agents, work in (("at rest", MESSAGES, Work.AT_REST), ("just active", 1, Work.ACTIVE)):
            with bench_database(database) as place:
                waits = place.measure(f"{__name__}:converse", messages=MESSAGES, agents=agents)
            handler, text = ([percentile(each, share) * 1000 for share in (0.5, 0.99)] for each in waits)
            table.add(database, name, *handler, *text)
            table.meets(work, database, *handler)
            if work is Work.ACTIVE:
                table.meets(Work.FIRST_TEXT, database, *text)
    yield table


def converse(messages: int, agents: int) -> tuple[list[float], list[float]]:
    """Seconds from accepted to handler started, and to first text, for each message, agents in turn."""
    return asyncio.run(_converse(messages, agents))


async def _converse(messages: int, agents: int) -> tuple[list[float], list[float]]:
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
    names = ["warm", *(f"agent-{number}" for number in range(agents))]
    urls = [(await spawn(ada, NewEntity("latency", name))).url for name in names]
    handlers, texts = [], []
    for number in range(-WARM_UP, messages):
        url = urls[0] if agents > 1 and number < 0 else urls[1 + number % agents]
        send_queue = SendQueue()
        await session.follow(send_queue, ada, session.Follow(id=1, stream=url, codec="timeline"))
        await deliver(ada, url, f"Hello {number}")
        accepted = time.perf_counter()
        first = await _answered(send_queue)
        begun = await started.get()
        session.leave(send_queue)
        if number >= 0:
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
