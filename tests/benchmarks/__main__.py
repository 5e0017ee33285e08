"""Run every benchmark, or those that are named, and print their tables; see `options.py`."""

import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import options, saved
from tests.benchmarks.summary import summary
from tests.benchmarks.table import Table, machine

FOLDER = Path(__file__).parent


def main(arguments: list[str]) -> None:
    """Print tables as they come, then what they say of the aims; save them, whatever ends the run."""
    asked = options.parse(arguments, sorted(path.stem[6:] for path in FOLDER.glob("bench_*.py")))
    if asked.quick:
        os.environ[options.QUICK] = "1"
    earlier = saved.read(asked.before) if asked.before else {}
    where, tables = machine(), list[Table]()
    print(where, flush=True)
    try:
        for table in _run(asked.names):
            tables.append(table)
            print(f"\n{saved.beside(table, earlier)}", flush=True)
    finally:
        tables.append(summary(tables))
        if tables[-1].rows:
            print(f"\n{saved.beside(tables[-1], earlier)}", flush=True)
        if asked.save:
            saved.write(asked.save, tables, machine=where, quick=asked.quick)


def _run(names: tuple[str, ...]) -> Iterator[Table]:
    for name in names:
        began = time.monotonic()
        yield from importlib.import_module(f"tests.benchmarks.bench_{name}").run()
        print(f"\n({name} took {time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
