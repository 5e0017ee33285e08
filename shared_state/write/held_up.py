"""Units that would wait for what somebody else holds, and all the others, which must not wait for them.

A caller's transaction may hold a stream for seconds, and a large commit for a good part of one. The writer
waits for a lock only a moment. Then it looks which units that concerns: those go to a writer that does
nothing but wait, and so does whatever names the same streams after them, so that nothing is overtaken. On
SQLite there is one lock for everything, and nothing to be told apart.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import Error

from shared_state.core import database
from shared_state.write.job import Job
from shared_state.write.sql import dialect


def sifted(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """Those whose streams are free just now, and those that would wait. A transaction of its own."""
    named = sorted({stream for job in jobs for stream in job.streams()})
    try:
        with database.atomic():
            free = {values[0] for values in dialect().streams(named, wait=False)}
            held = {values[0] for values in dialect().look(named)} - free
    except Error:
        held = set()
    return _parted(jobs, held)


def _parted(jobs: Sequence[Job], held: Iterable[int]) -> tuple[list[Job], list[Job]]:
    """Those that may go, and those that would wait, or overtake one that waits."""
    free: list[Job] = []
    behind: list[Job] = []
    taken = set(held)
    for job in jobs:
        if taken.isdisjoint(job.streams()):
            free.append(job)
        else:
            behind.append(job)
            taken.update(job.streams())
    return free, behind


class HeldUp:
    """The streams of units that wait. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named: dict[Job, frozenset[int]] = {}
        self._streams: Counter[int] = Counter()

    def parted(self, jobs: Sequence[Job]) -> tuple[Sequence[Job], list[Job]]:
        """Those that may go, and those that would overtake one that waits; these count as waiting now."""
        with self._lock:
            if not self._streams:
                return jobs, []
            free, behind = _parted(jobs, self._streams)
            self._add(behind)
        return free, behind

    def enter(self, jobs: Sequence[Job]) -> None:
        """Count units that wait from now on."""
        with self._lock:
            self._add(jobs)

    def leave(self, jobs: Sequence[Job]) -> None:
        """Units that wait no more."""
        with self._lock:
            for job in jobs:
                self._streams -= Counter(self._named.pop(job))  # what has come to nothing is gone from it

    def _add(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._named[job] = frozenset(job.streams())
            self._streams += Counter(self._named[job])
