"""The figures that say whether the product is fast enough, each with its aim: one table at a run's end."""

from collections.abc import Sequence
from enum import Enum

from tests.benchmarks.table import Table


class Work(Enum):
    """What is measured, and the aim on each database; a benchmark's table says the figure."""

    HANDLED = ("sends accepted a second, 64 HTTP clients, handled", "≥ 1,000")
    ACCEPTED = ("sends accepted a second, 64 HTTP clients, nothing handled", "≥ 1,500")
    CPU = ("CPU for one accepted send, all processes, ms", "≤ 1.5")
    AT_REST = ("message to handler, agent at rest, ms", "≤ 6 / 15")
    ACTIVE = ("message to handler, agent just active, ms", "≤ 5 / 12")
    FIRST_TEXT = ("message to first text, ms", "≤ 12 / 25")
    SPAWN = ("spawn by HTTP, ms", "≤ 3 / 10")
    READ = ("a log of 10,000 events by HTTP, ms", "≤ 40")
    TIMERS = ("timers handled a second, 20,000 due in one second", "≥ 1,000")
    DEBATES = ("300 debates at once, s", "≤ 40")


def summary(tables: Sequence[Table]) -> Table:
    """What these tables say of each aim, one row for each database it was measured on."""
    made = Table(
        "Against the aims",
        ("work", "aim", "database", "figure, or p50", "p99"),
        notes=(
            "What goes by HTTP, on PostgreSQL: web and worker apart, with Redis; else one process.",
            "A quick run measures fewer timers and debates, and tells what it would be for so many.",
        ),
    )
    found = [(work, database, figures) for table in tables for work, database, figures in table.aims]
    for work in Work:
        for name, database, figures in found:
            if name is work:
                made.add(*work.value, database, *figures, *[""] * (2 - len(figures)))
    return made
