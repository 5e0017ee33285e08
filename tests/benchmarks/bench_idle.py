"""What a process costs at its start, and what a hundred thousand sleeping agents cost: rows, nothing else."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.rows import make_agents
from tests.benchmarks.table import Table, percentile
from tests.support.processes import ROOT

ENTITIES = less(100_000, 20_000)
STARTS = less(5, 2)


def run() -> Iterator[Table]:
    """First the process, then the sleepers."""
    yield _process()
    table = Table(
        f"{ENTITIES:,} idle agents",
        ("database", "bytes/agent", "look for work p50 ms", "p99 ms", "memory before MB", "after MB"),
        notes=(
            "Looking for work is the whole unit: due timers, due wakes, the next due time. Nothing is due.",
        ),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            table.add(database, *place.measure(f"{__name__}:sleepers", entities=ENTITIES))
    yield table


def _process() -> Table:
    table = Table("A process", ("what is loaded", "start ms", "memory MB"))
    with bench_database(DATABASES[0]) as place:
        for what, code in (
            ("Django and both apps", "import django; django.setup()"),
            ("the web application", "import agents_site.asgi"),
            ("a worker", "import django; django.setup(); import entities.worker.worker"),
        ):
            measured = [_start(code, place.environment) for _ in range(STARTS)]
            table.add(
                what, percentile([m[0] for m in measured], 0.5), percentile([m[1] for m in measured], 0.5)
            )
    return table


def _start(code: str, environment: dict[str, str]) -> tuple[float, float]:
    """Milliseconds and megabytes of a new process that runs `code`."""
    told = code + "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return (time.perf_counter() - begin) * 1000, int(done.stdout.split()[-1]) / 1024


def sleepers(entities: int) -> tuple[float, float, float, float, float]:
    """Bytes an entity takes, p50 and p99 of an empty look in milliseconds, memory before and after in MB."""
    from django.db import connection

    from entities.worker.worker import claiming_due
    from shared_state.api import Provenance, Unit, unit

    before, size = _memory(), _database_size(connection)
    make_agents("user:ada", entities)

    def look(u: Unit) -> None:
        claimed, _ = claiming_due("bench", 10)(u)
        assert not claimed

    waits = []
    for _ in range(200):
        begin = time.perf_counter()
        unit(look, provenance=Provenance("system:bench"))
        waits.append((time.perf_counter() - begin) * 1000)
    grown = (_database_size(connection) - size) / entities
    return grown, percentile(waits, 0.5), percentile(waits, 0.99), before, _memory()


def _memory() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


def _database_size(connection: object) -> int:
    from django.db import connection as found

    with found.cursor() as cursor:
        if found.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    name = str(found.settings_dict["NAME"])
    return Path(name).stat().st_size
