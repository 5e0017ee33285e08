"""How long a message waits to be accepted, and for its handler, beside hundreds of agents that speak."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.table import Table, percentile

SPEAKING = less((0, 64, 512), (0, 512))
MESSAGES = less(200, 60)
PAUSE = 0.05  # seconds between two messages
WORDS_PER_SECOND = 20.0


def run() -> Iterator[Table]:
    """For each database and number of speaking agents: p50 and p99 of both waits, and pieces written."""
    table = Table(
        "A message beside agents that speak, one process",
        ("database", "speaking", "accepted p50 ms", "p99 ms", "handler p50 ms", "p99 ms", "pieces a second"),
        notes=(
            f"Each agent says {WORDS_PER_SECOND:g} words a second. The message is for another one; web and "
            "worker are one process, so its 512 models, its writer and the sender share one interpreter.",
        ),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            for speaking in SPEAKING:
                accepted, handled, rate = place.measure(f"{__name__}:beside", speaking=speaking)
                figures = [
                    percentile(each, share) * 1000 for each in (accepted, handled) for share in (0.5, 0.99)
                ]
                table.add(database, speaking, *figures, rate)
    yield table


class Talker:
    """A provider that says a word now and then until it is told to end."""

    name = "talker"
    silent: asyncio.Event

    async def stream(self, request: Any) -> AsyncGenerator[Any, None]:
        """One endless step."""
        from entities.agent.messages import Response, Text, Usage
        from entities.agent.model import BlockDelta, BlockStarted, StepDone

        yield BlockStarted(0, "text")
        said = ""
        while not self.silent.is_set():
            said += "word "
            yield BlockDelta(0, "word ")
            await asyncio.sleep(1 / WORDS_PER_SECOND)
        yield StepDone(Response((Text(said),), "end_turn", Usage(), request.model, self.name, 0.0))

    async def aclose(self) -> None:
        """Nothing to give back."""


def beside(speaking: int) -> tuple[list[float], list[float], float]:
    """Seconds until a message is accepted and until its handler starts, and pieces written a second."""
    return asyncio.run(_beside(speaking))


async def _beside(speaking: int) -> tuple[list[float], list[float], float]:
    from django.conf import settings

    from entities.api import NewEntity, deliver, registry, spawn
    from entities.worker.worker import Worker
    from shared_state.api import Principal, in_thread
    from shared_state.models import EventRecord

    settings.ENTITIES["PROVIDERS"]["talker"] = {"BACKEND": f"{__name__}.Talker"}
    Talker.silent = asyncio.Event()
    begun, heard = asyncio.Semaphore(0), asyncio.Queue[float]()

    async def talks(ctx: Any, wake: Any) -> None:
        begun.release()
        await ctx.use_agent("Talk.", provider="talker").run()

    async def hears(ctx: Any, wake: Any) -> None:
        heard.put_nowait(time.perf_counter())

    registry.define("talks")(talks)
    registry.define("hears")(hears)
    worker, ada = Worker(concurrency=speaking + 16), Principal("user", "ada")
    await worker.start()
    listener = await spawn(ada, NewEntity("hears", f"l-{speaking}"))
    names = [NewEntity("talks", f"t-{speaking}-{n}", message="Go on") for n in range(speaking)]
    await asyncio.gather(*(spawn(ada, name) for name in names))
    for _ in range(speaking):
        await begun.acquire()
    await asyncio.sleep(2)  # until all speak
    pieces = EventRecord.objects.filter(type="text_delta")
    before, since = await in_thread(pieces.count), time.perf_counter()
    accepted, handled = [], []
    for number in range(MESSAGES):
        sent = time.perf_counter()
        await deliver(ada, listener.url, f"Hello {number}")
        accepted.append(time.perf_counter() - sent)
        handled.append(await heard.get() - sent)
        await asyncio.sleep(PAUSE)
    rate = (await in_thread(pieces.count) - before) / (time.perf_counter() - since)
    Talker.silent.set()
    await worker.stop(grace=60)
    return accepted, handled, rate
