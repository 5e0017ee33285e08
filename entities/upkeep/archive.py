"""How much of a log may be archived: nothing that a wake may still read, and never the newest part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from entities.models import Entity
from entities.upkeep.pruner import still_needed
from shared_state.api import archive, get_stream

Step = archive.Archived | int
"""What the file holds; then, again and again, how many events were dropped."""


def archiving(path: str, file: Path, *, keep: int, before: int | None = None) -> Iterator[Step]:
    """Archive the old part of a log, step by step.

    All but the newest `keep` events, or what comes before an offset; in each case nothing that a wake that is
    not settled may read. If the file is there, what it holds is dropped. Raises `StreamNotFound` and
    `ArchiveError`.
    """
    stream = get_stream(path)
    until = before if before is not None else max(1, stream.head - keep + 1)
    entity = Entity.objects.filter(stream=stream.id).values_list("pk", flat=True).first()
    needed = still_needed(entity) if entity is not None else None
    until = min(until, stream.head, *([needed] if needed is not None else []))
    held = archive.export(stream.id, until, file)
    yield held
    while gone := archive.drop(stream.id, min(held.until, needed or held.until)):
        yield gone
