"""Processor time and memory of processes, by /proc."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def seconds(pid: int) -> float:
    """User and system time that one process has used."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK


def with_children(pid: int) -> float:
    """The same of a process, its children, and its children that have ended: a database server as a whole."""
    fields = _fields(pid)
    ended = (int(fields[13]) + int(fields[14])) / _TICK
    return seconds(pid) + ended + sum(map(_if_there, _children(pid)))


def megabytes(pid: int) -> int:
    """A process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def parent(pid: int) -> int:
    """Who started it."""
    return int(_fields(pid)[1])


def _children(pid: int) -> Iterable[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if parent(int(folder.name)) == pid:
                yield int(folder.name)
        except (FileNotFoundError, ProcessLookupError):
            continue


def _if_there(pid: int) -> float:
    try:
        return seconds(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _fields(pid: int) -> list[str]:
    """What stands after the command's name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
