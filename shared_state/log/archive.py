"""Archiving: the old part of a log, written to a file as lines of JSON and then dropped.

The file holds the stream as it is (a header and its rows: a snapshot) and each event before an offset in the
wire form. It is there only when it is whole and on the disk; only then does anything go. What goes, goes from
the beginning in small transactions, each of which moves `begins`: a reader never sees a log that begins
elsewhere than it says. Who is cut off in between begins again with the same file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from shared_state.core import database
from shared_state.exceptions import SharedStateError, StreamNotFound
from shared_state.log import wire
from shared_state.models import EventRecord, RowRecord, Stream

DROP_EVENTS = 500
"""How many events one transaction drops at the most."""
AT_ONCE = 500
"""How many rows are held at once while they are written."""
FORMAT = 1


class ArchiveError(SharedStateError):
    """A log cannot be archived like this; the message says why."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What a file holds: `events` from an offset on, up to but without another."""

    path: str
    begins: int
    until: int
    rows: int
    events: int


def export(stream: int, until: int, file: Path) -> Archived:
    """Write a snapshot of a stream, and its events before an offset. Returns what the file holds.

    If the file is there it is left as it is: what it holds may not have been dropped yet. Raises
    `ArchiveError` if it is no archive of this stream, and `StreamNotFound`.
    """
    if file.exists():
        return _known(stream, file)
    found = Stream.objects.filter(pk=stream).first()
    if found is None:
        raise StreamNotFound(f"There is no stream {stream}.")
    if not found.begins <= until <= found.head:
        raise ArchiveError(f"{found.path} has events from {found.begins} to {found.head}: not up to {until}.")
    part = file.with_name(f"{file.name}.part")
    with part.open("wb") as lines:
        held = _write(found, until, lines)
        lines.flush()
        os.fsync(lines.fileno())
    part.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return held


def _write(stream: Stream, until: int, lines: IO[bytes]) -> Archived:
    """A header, rows, events, and a last line with their counts, by which a whole file is known."""
    header = {
        "format": FORMAT, "stream": stream.path, "kind": stream.kind, "owner": stream.owner,
        "head": stream.head, "schema": stream.schema, "begins": stream.begins, "until": until,
    }  # fmt: skip
    lines.write(orjson.dumps(header) + b"\n")
    rows = 0
    for row in _rows(stream):
        rows += 1
        lines.write(orjson.dumps({"row": row}) + b"\n")
    events = 0
    for event in _events(stream.pk, until):
        events += 1
        lines.write(b'{"event":%s}\n' % event.encode())
    lines.write(orjson.dumps({"end": {"rows": rows, "events": events}}) + b"\n")
    return Archived(stream.path, stream.begins, until, rows, events)


def _rows(stream: Stream) -> Iterator[dict[str, Any]]:
    after, more = 0, True
    while more:
        some = list(RowRecord.objects.filter(stream=stream, pk__gt=after).order_by("pk")[:AT_ONCE])
        for row in some:
            yield {
                "type": row.type, "key": row.key, "value": row.value, "created": row.created,
                "version": row.version, "writer": row.writer, "updated_at": row.updated_at.isoformat(),
            }  # fmt: skip
        more = len(some) == AT_ONCE
        after = some[-1].pk if some else after


def _events(stream: int, until: int) -> Iterator[str]:
    form, after, complete = wire.Plain(), 0, False
    while not complete:
        page = wire.page(stream, after, wire.PAGE_EVENTS, None, form, until=until)
        yield from page.events
        after, complete = page.last, page.complete


def _known(stream: int, file: Path) -> Archived:
    """What a whole file holds that was written before."""
    with file.open("rb") as lines:
        header = orjson.loads(next(lines, b"{}"))
        last = header
        for line in lines:
            last = line
    end = orjson.loads(last).get("end") if isinstance(last, bytes) else None
    path = Stream.objects.values_list("path", flat=True).get(pk=stream)
    if end is None or header.get("stream") != path:
        raise ArchiveError(f"{file} is there, and is no archive of {path}.")
    return Archived(path, header["begins"], header["until"], end["rows"], end["events"])


def drop(stream: int, until: int) -> int:
    """Drop the next events before an offset, in one transaction. Returns how many; 0 if none is left.

    The event at the head stays, whatever is asked for.
    """
    with database.atomic():
        locked = Stream.objects.select_for_update(no_key=True).filter(pk=stream)
        found = locked.values_list("head", "swept").first()
        if found is None:
            return 0
        head, swept = found
        events = EventRecord.objects.filter(stream=stream, offset__lt=min(until, head)).order_by("offset")
        gone = list(events.values_list("offset", flat=True)[:DROP_EVENTS])
        if gone:
            EventRecord.objects.filter(stream=stream, offset__in=gone)._raw_delete(database.alias())
        begins = gone[-1] + 1 if len(gone) == DROP_EVENTS else min(until, head)
        Stream.objects.filter(pk=stream).update(begins=begins, swept=max(swept, begins - 1))
    return len(gone)
