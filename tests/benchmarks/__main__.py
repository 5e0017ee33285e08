"""Run every benchmark, or those that are named, and print their tables."""

import importlib
import sys
import time
from pathlib import Path

from tests.benchmarks.table import machine

FOLDER = Path(__file__).parent


def main(wanted: list[str]) -> None:
    """Print tables as they come; an unknown name is refused with the names there are."""
    known = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    names = [name.removeprefix("bench_") for name in wanted] or known
    if strangers := sorted(set(names) - set(known)):
        sys.exit(f"There is no benchmark {', '.join(strangers)}; there are {', '.join(known)}.")
    print(machine(), flush=True)
    for name in names:
        began = time.monotonic()
        for table in importlib.import_module(f"tests.benchmarks.bench_{name}").run():
            print(f"\n{table}", flush=True)
        print(f"\n({name} took {time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
