"""Figures kept in a file, and tables set beside those of an earlier run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.table import Table

RATIO = "× before"
NOTE = f"{RATIO}: the figure on its left divided by the one that was saved; 0.5 is half of it."


def write(path: Path, tables: Sequence[Table], **about: Any) -> None:
    """Write the figures of all tables, and what one must know about the run."""
    found = [{"title": each.title, "columns": each.columns, "rows": each.rows} for each in tables]
    path.write_text(json.dumps({**about, "tables": found}, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> dict[str, Table]:
    """The tables of an earlier run, by title."""
    found = json.loads(path.read_text())["tables"]
    return {one["title"]: Table(one["title"], one["columns"], one["rows"]) for one in found}


def beside(table: Table, earlier: Mapping[str, Table]) -> Table:
    """The same table with a column of ratios after each column of figures; as it is if there was none.

    A row is recognised by its cells before the first figure, which is the first number with a fraction.
    """
    before = earlier.get(table.title)
    if before is None:
        return table
    known = {_name(row): row for row in before.rows}
    measured = [n for n in range(len(table.columns)) if any(_measured(row, n) for row in table.rows)]
    places = {name: n for n, name in _numbered(before.columns)}
    columns: list[str] = []
    for n, (_, name) in enumerate(_numbered(table.columns)):
        columns += [table.columns[n], *([RATIO] if n in measured and name in places else [])]
    made = Table(table.title, columns, notes=(*table.notes, NOTE))
    for row in table.rows:
        old, cells = known.get(_name(row)), list[object]()
        for n, name in _numbered(table.columns):
            cells.append(row[n])
            if n in measured and name in places:
                cells.append(_ratio(row[n], old[places[name]] if old is not None else None))
        made.add(*cells)
    return made


def _numbered(columns: Sequence[str]) -> list[tuple[int, tuple[str, int]]]:
    """Each column's place, and its name with how often that stood before: `p99 ms` may be there twice."""
    return [(n, (name, list(columns[:n]).count(name))) for n, name in enumerate(columns)]


def _name(row: Sequence[object]) -> tuple[object, ...]:
    end = next((n for n, cell in enumerate(row) if isinstance(cell, float)), len(row))
    return tuple(row[:end])


def _measured(row: Sequence[object], n: int) -> bool:
    """Whether this cell is a figure: a number, and none of those that name the row."""
    return n >= len(_name(row)) and isinstance(row[n], int | float)


def _ratio(now: object, before: object) -> str:
    if not isinstance(now, int | float) or not isinstance(before, int | float) or not before:
        return ""
    return f"{now / before:.2f}"
