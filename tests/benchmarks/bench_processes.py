"""Several web and several worker processes on one PostgreSQL: sends, deadlocks, and how long one waits."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.benchmarks.database import BenchDatabase, bench_database
from tests.benchmarks.driving import driven
from tests.benchmarks.options import less
from tests.benchmarks.table import Table, percentile
from tests.support import servers
from tests.support.processes import Process

PROCESSES = (1, 2, 4)
"""So many that send, and as many that work."""
AGENTS = 20
CALLERS = 16
PAUSE = 0.02  # seconds between two messages of one caller
SECONDS = less(8.0, 3.0)
WARM_UP = 1.0
ME = "tests.benchmarks.bench_processes"
DONE = "sent: "


def run() -> Iterator[Table]:
    """Each number of processes, with callers that pause as people do, and with callers that do not."""
    table = Table(
        f"Sends to {AGENTS} agents from several processes, handled in as many others, PostgreSQL and Redis",
        (
            "web + worker",
            "pause ms",
            "sends/s",
            "p50 ms",
            "p99 ms",
            "longest ms",
            "deadlocks",
            "lost",
            "late s",
        ),
        notes=(
            f"{CALLERS} callers in each process that sends, in process; each handler answers with a text.",
            "Lost: messages that no handler heard of. Late: from the last message to its handler's end.",
        ),
    )
    for number in PROCESSES:
        for pause in (PAUSE, 0.0):
            with servers.redis() as redis, bench_database("PostgreSQL", REDIS_URL=redis) as place:
                table.add(f"{number} + {number}", int(pause * 1000), *_measured(place, number, pause))
    yield table


def _measured(place: BenchDatabase, number: int, pause: float) -> tuple[object, ...]:
    place.measure(f"{ME}:prepare")
    before = place.measure(f"{ME}:deadlocks")
    environment = place.environment | {"AGENTS_LOG_LEVEL": "ERROR"}
    with contextlib.ExitStack() as stack:

        def start(kind: str, *rest: str) -> Process:
            made = Process([sys.executable, "-m", ME, kind, *rest], environment)
            stack.callback(made.close)
            return made

        workers = [start("work") for _ in range(number)]
        for worker in workers:
            worker.wait_for_line("ready")
        begin = str(time.time() + 3.0)
        senders = [start("send", f"s{n}", begin, str(pause)) for n in range(number)]
        said = [sender.wait_for_line(f"^{DONE}", 120) for sender in senders]
        found = [json.loads(line.removeprefix(DONE)) for line in said]
        end = max(one["end"] for one in found)
        sent = sum(one["done"] for one in found)
        late, handled = _handled(place, end)
    waits = [wait for one in found for wait in one["waits"]]
    deadlocks = place.measure(f"{ME}:deadlocks") - before
    p50, p99 = (percentile(waits, share) * 1000 for share in (0.5, 0.99))
    return len(waits) / SECONDS, p50, p99, max(waits) * 1000, deadlocks, sent - handled, late


def _handled(place: BenchDatabase, end: float) -> tuple[float, int]:
    """How long after `end` the last handler was done, and how many messages handlers were told of."""
    while True:
        waiting, last, handled = place.measure(f"{ME}:settled")
        if not waiting:
            return max(0.0, last - end), handled


# -- in processes of their own


def _define() -> None:
    from entities.api import registry

    async def answers(ctx: Any, wake: Any) -> None:
        await ctx.reply_text("ok")

    registry.define("answers")(answers)


def prepare() -> None:
    """The agents."""
    from entities.api import NewEntity, registry, spawn_now
    from shared_state.api import Principal
    from shared_state.write import writer

    _define()
    registry.store()
    for number in range(AGENTS):
        spawn_now(Principal("user", "ada"), NewEntity("answers", str(number)))
    writer.stop()


def deadlocks() -> int:
    """How many PostgreSQL has counted in this database."""
    from django.db import connection

    time.sleep(1.2)  # a backend says what it counted once a second
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def settled() -> tuple[int, float, int]:
    """Wakes that wait, when the last was settled, and how many messages the settled ones reach."""
    from django.db.models import Max

    from entities.models import Wake
    from shared_state.models import EventRecord

    done = Wake.objects.filter(state=Wake.State.DONE)
    last = done.aggregate(last=Max("settled_at"))["last"]
    reached = done.values_list("entity__stream").annotate(end=Max("to_offset"))
    handled = sum(
        EventRecord.objects.filter(stream=stream, type="inbox", operation="insert", offset__lt=end).count()
        for stream, end in reached
    )
    return Wake.objects.exclude(state=Wake.State.DONE).count(), last.timestamp() if last else 0.0, handled


async def _work() -> None:
    from entities.worker.worker import Worker

    await Worker().start()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def _send(name: str, begin: str, pause: str) -> None:
    from entities.api import deliver
    from shared_state.api import Principal

    ada, sent = Principal("user", "ada"), [0.0] * CALLERS
    waits: list[float] = []

    async def send(caller: int) -> None:
        number = int(sent[caller])
        sent[caller] += 1
        before = time.perf_counter()
        await deliver(ada, f"/answers/{(caller + number) % AGENTS}", f"{name} {caller} {number}")
        waits.append(time.perf_counter() - before)
        await asyncio.sleep(float(pause))

    await asyncio.sleep(max(0.0, float(begin) - time.time()))
    found = await driven([partial(send, caller) for caller in range(CALLERS)], SECONDS, WARM_UP)
    kept = waits[-len(found.waits) :]  # without the warm-up
    print(DONE + json.dumps({"waits": kept, "done": found.done, "end": time.time()}), flush=True)


def main(kind: str, *rest: str) -> None:
    """One process."""
    import django

    django.setup()
    _define()
    asyncio.run(_work() if kind == "work" else _send(*rest))


if __name__ == "__main__":
    main(*sys.argv[1:])
