"""What the architecture tests look at: the files of this repository, as git knows them."""

import ast
import functools
import subprocess
from pathlib import Path

from tests.support.processes import ROOT

APPS = ("agents_site", "entities", "shared_state")


@functools.cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """All files that are, or are about to be, part of the repository, relative to its root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    paths = [Path(name) for name in listed if name]
    return tuple(
        path for path in paths if (not suffixes or path.suffix in suffixes) and (ROOT / path).is_file()
    )


def python_files() -> list[Path]:
    """Our Python, without migrations, which Django writes."""
    return [path for path in files(".py") if "migrations" not in path.parts]


@functools.cache
def text(path: Path) -> str:
    """A file's content."""
    return (ROOT / path).read_text(encoding="utf-8")


@functools.cache
def tree(path: Path) -> ast.Module:
    """A Python file, parsed."""
    return ast.parse(text(path))
