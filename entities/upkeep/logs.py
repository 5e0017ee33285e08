"""What the doctor finds in one log: whether its offsets are in order, and its rows are what it amounts to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from entities.catalog.events import EVENTS, LOG_ONLY
from entities.upkeep.finding import Finding
from shared_state.api import database
from shared_state.models import EventRecord, RowRecord, Stream

AT_ONCE = 100
"""How many events or rows are held at a time."""
MEND_ROW = (
    "Stop the workers and set the row to what the log says: the value of the last event of its type and key."
)
RESTORE = "Restore this stream from a backup, or from its archive; nothing here can make it up."

Place = tuple[str, str]
"""Type and key of a row."""


class _Folded(NamedTuple):
    """What the log says of a row. `created` is known only of one whose every event is there."""

    created: int | None
    version: int
    deleted: bool
    digest: bytes | None
    """Of the value; None if the event has left it to the row."""


def examine(stream: Stream) -> list[Finding]:
    """What is wrong with one stream. Memory grows with its rows, not with its events or what they hold."""
    found: list[Finding] = []
    folded: dict[Place, _Folded] = {}
    whole = stream.swept == 0 and stream.begins <= 1
    recent = last = 0
    for events in _pieces(stream):
        for event in events:
            recent += event.offset > stream.swept
            last = event.offset
            place = (event.type, event.key)
            before = folded.get(place)
            if before is not None and before.digest is None:
                found.append(_hollow(stream, place, before.version, event.offset))
            folded[place] = _fold(event, before, whole)
        _forget(stream, folded, {(event.type, event.key) for event in events})
    found += _offsets(stream, recent, last)
    found += _rows(stream, folded)
    found += _lost(stream, folded)
    return found


def _hollow(stream: Stream, place: Place, offset: int, later: int) -> Finding:
    what = f"the event at {offset} left its value to its row, which changed at {later}: it says nothing now."
    mend = "Delete this event, which every reader passes over; the row has gone on without it."
    return Finding(f"{stream.path} {place[0]} {place[1]}", what, mend)


def _forget(stream: Stream, folded: dict[Place, _Folded], places: set[Place]) -> None:
    """Hold nothing of what has no row and need not have one, such as the pieces of a text."""
    rowless = {
        (type, key)
        for type, key in places
        if folded[type, key].deleted or not _is_folded(stream, type)
        if folded[type, key].digest is not None
    }
    if not rowless:
        return
    types, keys = zip(*rowless, strict=True)
    rows = RowRecord.objects.filter(stream=stream, type__in=set(types), key__in=keys)
    for place in rowless - set(rows.values_list("type", "key")):
        del folded[place]


def _pieces(stream: Stream) -> Iterator[list[EventRecord]]:
    """The log in order, in pieces, so that a driver that holds a whole answer holds little."""
    after = 0
    while True:
        wanted = EventRecord.objects.filter(stream=stream, offset__gt=after, offset__lte=stream.head)
        some = list(wanted.order_by("offset")[:AT_ONCE])
        yield some
        if len(some) < AT_ONCE:
            return
        after = some[-1].offset


def _fold(event: EventRecord, before: _Folded | None, whole: bool) -> _Folded:
    goes_on = before is not None and not before.deleted
    created = before.created if before is not None and goes_on else event.offset if whole else None
    digest = None if event.value is None else _digest(event.value)
    return _Folded(created, event.offset, event.operation == "delete", digest)


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _offsets(stream: Stream, recent: int, last: int) -> Iterator[Finding]:
    where = stream.path
    if last != stream.head:
        yield Finding(where, f"its head is {stream.head}, its last event at {last}.", RESTORE)
    expected = stream.head - max(stream.swept, stream.begins - 1)
    if recent != expected and stream.swept <= stream.head:
        what = (
            f"after offset {max(stream.swept, stream.begins - 1)} there are {recent} events, not {expected}."
        )
        yield Finding(where, what, RESTORE)
    if stream.swept > stream.head or stream.begins > stream.head + 1:
        what = f"it was pruned to {stream.swept} and archived before {stream.begins}, beyond {stream.head}."
        yield Finding(where, what, "Set `swept` and `begins` of the stream to its head.")
    stray = EventRecord.objects.filter(stream=stream, offset__gt=stream.head).count()
    if stray and not Stream.objects.filter(pk=stream.pk).exclude(head=stream.head).exists():
        yield Finding(where, f"{stray} events lie beyond its head.", RESTORE)


def _rows(stream: Stream, folded: dict[Place, _Folded]) -> Iterator[Finding]:
    """Rows against what the log says of them; those that it says nothing of must be older than it."""
    after = 0
    while True:
        wanted = RowRecord.objects.filter(stream=stream, pk__gt=after).order_by("pk")
        some = list(wanted[:AT_ONCE])
        for row in some:
            said = folded.pop((row.type, row.key), None)
            if what := _fault(stream, row, said):
                yield Finding(f"{stream.path} {row.type} {row.key}", what, MEND_ROW)
        if len(some) < AT_ONCE:
            return
        after = some[-1].pk


def _fault(stream: Stream, row: RowRecord, said: _Folded | None) -> str:
    if row.version > stream.head:
        return f"its version {row.version} is beyond the head {stream.head}."
    if said is None:
        return "" if row.version < stream.begins else f"the log has no event for its version {row.version}."
    if said.deleted:
        return f"it is there, though it was deleted at {said.version}."
    if said.version != row.version:
        return f"its version is {row.version}; its last event is at {said.version}."
    if said.created is not None and said.created != row.created:
        return f"it says that it came to be at {row.created}; the log says {said.created}."
    if said.digest is not None and said.digest != _digest(row.value):
        return f"its value is not that of its last event, at {row.version}."
    return ""


def _lost(stream: Stream, left: dict[Place, _Folded]) -> Iterator[Finding]:
    """What the log says and no row does."""
    for (type, key), said in left.items():
        where = f"{stream.path} {type} {key}"
        if said.digest is None:
            yield Finding(
                where, f"the event at {said.version} left its value to a row that is gone.", RESTORE
            )
        elif not said.deleted and _is_folded(stream, type):
            yield Finding(where, f"its last event is at {said.version}, and there is no row.", MEND_ROW)


def _is_folded(stream: Stream, type: str) -> bool:
    """Whether events of a type have rows, as far as can be known."""
    if stream.kind == Stream.Kind.SHARED:
        return any(spec.get("type") == type for spec in stream.schema.values())
    if stream.kind == Stream.Kind.PRESENCE:
        return type == "agent"
    return (type in EVENTS and type not in LOG_ONLY) or type.startswith("state:")


def orphans() -> Iterator[Finding]:
    """Events and rows of streams that are gone. No foreign key is relied upon: see docs/architecture.md."""
    for model, what in ((EventRecord, "events"), (RowRecord, "rows")):
        table, streams = model._meta.db_table, Stream._meta.db_table
        with database.connection().cursor() as cursor:
            cursor.execute(
                f"SELECT DISTINCT o.stream_id FROM {table} o WHERE NOT EXISTS "  # noqa: S608  names are ours
                f"(SELECT 1 FROM {streams} s WHERE s.id = o.stream_id) ORDER BY 1 LIMIT 100"
            )
            for (ident,) in cursor.fetchall():
                mend = f"DELETE FROM {table} WHERE stream_id = {ident}"  # noqa: S608  said, not done
                yield Finding(f"stream {ident}", f"it is gone, and {what} of it are there.", mend)
