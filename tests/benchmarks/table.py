"""Figures as a table that can be read in a terminal and pasted into Markdown."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import django


@dataclass
class Table:
    """A title, columns, rows of figures, and what one must know to read them."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    notes: Sequence[str] = ()
    aims: list[tuple[Enum, str, tuple[float, ...]]] = field(default_factory=list)
    """What it says of the aims in `summary.py`: which, on what database, one figure or p50 and p99."""

    def add(self, *cells: object) -> None:
        """One more row."""
        self.rows.append(cells)

    def meets(self, work: Enum, database: str, *figures: float) -> None:
        """Figures for the summary: a `summary.Work`, one figure or p50 and p99."""
        self.aims.append((work, database, figures))

    def __str__(self) -> str:
        cells = [list(self.columns), *([_text(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.columns))]
        lines = ["| " + " | ".join(_padded(row, widths)) + " |" for row in cells]
        lines.insert(
            1,
            "|"
            + "|".join("-" * (width + 1) + ("-" if n == 0 else ":") for n, width in enumerate(widths))
            + "|",
        )
        return "\n".join([f"### {self.title}", "", *lines, *(f"\n{note}" for note in self.notes)])


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The first column names its row; the others hold figures."""
    return [
        row[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
    ]


def _text(cell: object) -> str:
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return str(cell)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> str:
    """What this was measured on, and how busy that was before."""
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, Django {django.get_version()}, "
        f"SQLite {sqlite3.sqlite_version}, load {load}"
    )
