"""Lists of agents, and a worker's look for work, beside up to a million agents of others."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.rows import analyze, make_agents
from tests.benchmarks.table import Table, percentile

OTHERS = less((100, 10_000, 1_000_000), (100, 10_000))
OWN = 10
BUSY = 1_000
AT_ONCE = 50_000
TIMES = 20


def run() -> Iterator[Table]:
    """For each database and number of others: the middle of some times, in milliseconds."""
    table = Table(
        f"Lists for somebody with {OWN} agents, and a look for work, ms p50",
        ("database", "agents of others", "list", "list, staff", "search", "nothing found", "look for work"),
        notes=(f"The look is beside {BUSY:,} agents that run, each with a message that waits for its turn.",),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            there = 0
            for others in OTHERS:
                figures = place.measure(f"{__name__}:measured", first=there, others=others)
                table.add(database, others, *figures)
                there = others
    yield table


def measured(first: int, others: int) -> list[float]:
    """Make others, from `first` on; then ask each question some times."""
    from entities.web import queries
    from entities.web.search import search
    from shared_state.api import Principal

    if not first:
        make_agents("user:ada", OWN, prefix="own-")
        _make_busy()
    for start in range(first, others, AT_ONCE):
        make_agents("user:others", min(AT_ONCE, others - start), prefix=f"o{start}-")
    analyze()
    ada, staff = Principal("user", "ada"), Principal("user", "boss", staff=True)
    asked: list[Callable[[], object]] = [
        lambda: queries.families(ada),
        lambda: queries.families(staff),
        lambda: search(ada, "title 7"),
        lambda: search(ada, "nothing here"),
        _look,
    ]
    return [percentile([_milliseconds(one) for _ in range(TIMES)], 0.5) for one in asked]


def _make_busy() -> None:
    from django.utils import timezone

    from entities.models import Entity, Wake

    agents = make_agents("user:others", BUSY, prefix="busy-")
    now = timezone.now()
    Entity.objects.filter(pk__in=[agent.pk for agent in agents]).update(
        lease_owner="somebody", lease_expires_at=now + timedelta(days=1)
    )
    Wake.objects.bulk_create(
        Wake(
            entity=agent, reason="inbox", source="user:others", created_at=now,
            due_at=now - timedelta(minutes=1),
        )
        for agent in agents
    )  # fmt: skip


def _look() -> None:
    from entities.worker.worker import claiming_due
    from shared_state.api import Provenance, unit

    claimed, _ = unit(claiming_due("bench", 10), provenance=Provenance("system:bench"))
    assert not claimed


def _milliseconds(ask: Callable[[], object]) -> float:
    begin = time.perf_counter()
    ask()
    return (time.perf_counter() - begin) * 1000
