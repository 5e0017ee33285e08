"""What the architecture tests look at: our files, as git knows them or as they lie there."""

import ast
import functools
import os
import subprocess
from pathlib import Path

from tests.support.processes import ROOT

APPS = ("agents_site", "entities", "shared_state")
LEFT_BEHIND = {"__pycache__", "dist", "htmlcov", "var"}


@functools.cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """All files that are, or are about to be, part of the repository, relative to its root."""
    paths = _listed_by_git() if (ROOT / ".git").exists() else _found()
    return tuple(
        path for path in paths if (not suffixes or path.suffix in suffixes) and (ROOT / path).is_file()
    )


def _listed_by_git() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [Path(name) for name in listed if name]


def _found() -> list[Path]:
    """What lies there: a released source is no repository, and holds its files and what runs left behind."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in LEFT_BEHIND and name.strip(".") in ("ci", name)]
        found += [Path(folder, name).relative_to(ROOT) for name in names]
    return found


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
