"""What `make bench ARGS="…"` was asked for, and how much time it may take."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
QUICK = "AGENTS_BENCH_QUICK"
"""The environment variable that tells modules, and the processes they start, to take less time."""


@dataclass(frozen=True, slots=True)
class Options:
    """The benchmarks to run, in order, and what becomes of their figures."""

    names: tuple[str, ...]
    quick: bool = False
    save: Path | None = None
    before: Path | None = None


def parse(arguments: Sequence[str], known: Sequence[str]) -> Options:
    """Read the command line; no name means all. Ends with a sentence if a name is nobody's."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, and print tables.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)}; all without")
    parser.add_argument("--quick", action="store_true", help="take less time for each figure")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--before", type=Path, metavar="FILE", help="compare with figures saved earlier")
    found = parser.parse_intermixed_args(arguments)
    names = tuple(dict.fromkeys(name.removeprefix("bench_") for name in found.names)) or tuple(known)
    if strangers := sorted(set(names) - set(known)):
        parser.error(f"there is no benchmark {', '.join(strangers)}; there are {', '.join(known)}")
    if found.before is not None and not found.before.exists():
        parser.error(f"there is no file {found.before}")
    return Options(names, found.quick, found.save, found.before)


def less(full: T, quick: T, environment: Mapping[str, str] = os.environ) -> T:
    """`full`, or `quick` if this run is to take less time."""
    return quick if environment.get(QUICK) else full
