"""Rows and bytes of an answer of 2.4 KB, at once and later, when what only lived to be folded was pruned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.table import Table

AGENTS = 40
TEXT = " ".join(f"word{number % 10}" for number in range(400))
PER_SECOND = 60
"""About as many words as a model speaks."""
TABLES = (
    "shared_state_eventrecord", "shared_state_rowrecord", "shared_state_stream", "entities_wake",
)  # fmt: skip


def run() -> Iterator[Table]:
    """One row for each database."""
    table = Table(
        "An answer of 2.4 KB",
        ("database", "events at once", "bytes at once", "events later", "bytes later", "pruning ms"),
        notes=(
            "Later: after the pruner. On PostgreSQL the tables are written anew for the last figure, "
            "since what is freed in them is kept for what comes.",
        ),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            table.add(database, *place.measure(f"{__name__}:answers"))
    yield table


class Speaker:
    """A model that says `TEXT` at its pace."""

    name = "bench"

    async def stream(self, request: Any) -> AsyncIterator[Any]:
        """One text, word by word."""
        from entities.agent.messages import Response, Text, Usage
        from entities.agent.model import BlockDelta, BlockStarted, StepDone

        yield BlockStarted(0, "text")
        for word in TEXT.split():
            await asyncio.sleep(1 / PER_SECOND)
            yield BlockDelta(0, f"{word} ")
        yield StepDone(Response((Text(TEXT),), "end_turn", Usage(1000, 400), "bench-1", self.name, 0.01))

    async def aclose(self) -> None:
        """Nothing to give back."""


def answers() -> tuple[float, float, float, float, float]:
    """Events and bytes of one answer at once, and later; and how long pruning it took, in milliseconds."""
    import time

    from django.conf import settings

    from entities.agent import loop
    from entities.api import registry
    from entities.upkeep.pruner import Pruner

    setattr(loop, "get_provider", lambda *given: Speaker())  # noqa: B010  it is the loop's own name for it

    @registry.define("speaker")
    async def speaker(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You speak.").run()

    before = asyncio.run(_speak())
    at_once = _size()
    settings.ENTITIES["KEEP_VERSIONS_SECONDS"] = 0
    pruner, began = Pruner("bench"), time.perf_counter()
    while pruner.step():
        pass
    took = (time.perf_counter() - began) * 1000 / AGENTS
    _rewritten()
    later = _size()
    figures = [(now[n] - before[n]) / AGENTS for now in (at_once, later) for n in (0, 1)]
    return figures[0], figures[1], figures[2], figures[3], took


async def _speak() -> tuple[int, int]:
    """Let all answer at once. Returns the size of what there was before."""
    from entities import api
    from entities.testing.runtime import ADA, look, quiet
    from entities.worker.worker import Worker

    worker = Worker(concurrency=AGENTS)
    await worker.start()
    urls = [(await api.spawn(ADA, api.NewEntity("speaker", f"s{number}"))).url for number in range(AGENTS)]
    before = await look(_size)
    for url in urls:
        await api.deliver(ADA, url, "Tell me something, please.")
    await quiet(worker, 120)
    await worker.stop()
    return before


def _size() -> tuple[int, int]:
    """Events, and the bytes of the tables that an answer writes to, with their indexes."""
    from django.db import connection

    from shared_state.models import EventRecord

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname = ANY(%s)",
                [list(TABLES)],
            )
        else:
            cursor.execute("SELECT sum(pgsize) FROM dbstat")
        return EventRecord.objects.count(), int(cursor.fetchone()[0])


def _rewritten() -> None:
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"VACUUM FULL {table}")
