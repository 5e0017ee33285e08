"""The rows before a run, which its window is made of: kept warm in this worker for agents just active.

A conversation's rows are read whole once; from then on only those that changed since. So a turn costs what is
new, and not what was said before it. What is kept is a copy of what is committed, and the log itself tells
what of it is stale. A worker that did not run the agent for a while reads as ever.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from shared_state.api import Row, StreamNotFound, row_of
from shared_state.api import window as newest_rows
from shared_state.models import EventRecord, RowRecord, Stream

MOST_ROWS = 20_000
"""How many rows are kept for all agents together; the agents that were active last keep theirs."""
WARM_SECONDS = 300.0
"""How long they are kept, in seconds. Shorter than the log is left unpruned: it tells what changed since."""
MOST_CHANGES = 1_000
"""With more changes than that, all is read anew."""

Place = tuple[str, str]


@dataclass(slots=True)
class _Kept:
    """Rows by type and key, all as of `head` or later, of a stream that was made then."""

    head: int
    made: datetime
    rows: dict[Place, Row]
    read_at: float


class Histories:
    """What is kept, for any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def newest(self, stream: int, types: tuple[str, ...], limit: int) -> list[Row]:
        """The newest rows of some types, in order of creation; the same types and limit for a stream, always.

        Uses the database in the caller's thread. Raises `StreamNotFound`.
        """
        # Before the rows: they may be newer than the head says, never older.
        found = Stream.objects.filter(pk=stream).values_list("head", "created_at", "begins").first()
        if found is None:
            raise StreamNotFound(f"There is no stream {stream}.")
        at, begins = found[:2], found[2]
        rows = self._refreshed(stream, types, self._take(stream, at[1], begins))
        if rows is None:
            rows = {
                (row.type, row.key): row for row in newest_rows(stream, limit=limit, types=types, head=at[0])
            }
        newest = sorted(rows.values(), key=lambda row: row.created)[-limit:]
        self._keep(stream, _Kept(*at, {(row.type, row.key): row for row in newest}, time.monotonic()))
        return newest

    def forget(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()
            self._count = 0

    def _refreshed(self, stream: int, types: tuple[str, ...], kept: _Kept | None) -> dict[Place, Row] | None:
        """What was kept, with what changed since; `None` if that would be more than reading all."""
        if kept is None:
            return None
        since = EventRecord.objects.filter(stream=stream, offset__gt=kept.head, type__in=types)
        changed = set(since.values_list("type", "key")[: MOST_CHANGES + 1])
        if len(changed) > MOST_CHANGES:
            return None
        rows = {place: row for place, row in kept.rows.items() if place not in changed}
        if changed:
            keys = {key for _, key in changed}
            for record in RowRecord.objects.filter(stream=stream, type__in=types, key__in=keys):
                rows[record.type, record.key] = row_of(record)
        # With some deleted, older ones may have come into view.
        return rows if len(rows) >= len(kept.rows) else None

    def _take(self, stream: int, made: datetime, begins: int) -> _Kept | None:
        """What is kept, if the log can tell what changed since: a past that was archived cannot."""
        with self._lock:
            kept = self._kept.pop(stream, None)
            if kept is None:
                return None
            self._count -= len(kept.rows)
        is_told = kept.made == made and kept.head >= begins - 1
        is_warm = is_told and time.monotonic() - kept.read_at < WARM_SECONDS
        return kept if is_warm else None

    def _keep(self, stream: int, kept: _Kept) -> None:
        with self._lock:
            if (known := self._kept.pop(stream, None)) is not None:
                self._count -= len(known.rows)
            self._kept[stream] = kept
            self._count += len(kept.rows)
            while self._count > MOST_ROWS and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._count -= len(oldest.rows)


histories = Histories()
