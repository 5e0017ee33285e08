"""Reading streams: after a cursor, the newest window, and rows. No read grows with the length of the log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, TypeVar

from django.db.models import JSONField, Q, QuerySet, Value
from django.db.models.fields.json import KeyTransform, KeyTransformExact, KeyTransformIsNull

from shared_state.core.types import Event, Provenance, Row, StreamInfo, is_storable
from shared_state.exceptions import StreamNotFound
from shared_state.models import EventRecord, RowRecord, Stream
from shared_state.write.sql import as_row, dialect
from shared_state.write.unit import row_of

M = TypeVar("M", EventRecord, RowRecord)
_EXACT = 2**53
"""Up to which numbers all databases and readers of JSON agree."""
_NEAR = 4  # how many records are looked at for each one that is asked for, before types are read one by one


def info_of(stream: Stream) -> StreamInfo:
    """The value behind a model instance."""
    return StreamInfo(
        stream.id, stream.path, stream.kind, stream.owner, stream.root_id,
        stream.head, stream.epoch, stream.closed, stream.observed, stream.schema,
    )  # fmt: skip


def event_of(record: EventRecord) -> Event:
    """The value behind a model instance."""
    return Event(
        record.stream_id, record.offset, record.type, record.key, record.operation, record.value or {},
        record.timestamp, Provenance(record.writer, record.wake, record.run, record.tool_call), record.old,
    )  # fmt: skip


def get_stream(path: str) -> StreamInfo:
    """The stream at a path. Raises `StreamNotFound`."""
    # A database refuses to look for what it cannot keep, so nothing has such a name.
    stream = Stream.objects.filter(path=path).first() if is_storable(path) else None
    if stream is None:
        raise StreamNotFound(f"There is no stream at {path!r}.")
    return info_of(stream)


def get_streams(paths: Collection[str]) -> dict[str, StreamInfo]:
    """Those of these paths that there are, in one query."""
    there = Stream.objects.filter(path__in=[path for path in paths if is_storable(path)])
    return {stream.path: info_of(stream) for stream in there}


def get_stream_by_id(ident: int) -> StreamInfo:
    """The stream with an id. Raises `StreamNotFound`."""
    stream = Stream.objects.filter(pk=ident).first()
    if stream is None:
        raise StreamNotFound(f"There is no stream {ident}.")
    return info_of(stream)


def heads(streams: Collection[int]) -> dict[int, int]:
    """The heads of many streams in one query: what a poll for lost hints compares."""
    return dict(Stream.objects.filter(pk__in=streams).values_list("id", "head"))


def read(stream: int, after: int = 0, limit: int = 500, types: Sequence[str] | None = None) -> list[Event]:
    """Events after an offset, oldest first, `limit` at the most; fewer only if there are no more."""
    found = EventRecord.objects.filter(stream=stream).order_by("offset")
    return _enough(stream, found.filter(offset__gt=after), "gt", limit, types)


def _enough(
    stream: int, found: QuerySet[EventRecord], beyond: str, limit: int, types: Sequence[str] | None
) -> list[Event]:
    """As many as are wanted, though some are passed over: see `_events`."""
    events: list[Event] = []
    while True:
        wanted = limit - len(events)
        records = _first(found, wanted, types)
        events += _events(stream, records)
        if len(events) >= limit or len(records) < wanted:
            return events
        found = found.filter(**{f"offset__{beyond}": records[-1].offset})


def first_offsets(stream: int, after: int, limit: int, types: Sequence[str]) -> list[int]:
    """The offsets of the first events of some types after an offset, `limit` at the most."""
    found = EventRecord.objects.filter(stream=stream, offset__gt=after).order_by("offset").only("offset")
    return [record.offset for record in _first(found, limit, types)]


def read_newest(
    stream: int, before: int | None = None, limit: int = 100, types: Sequence[str] | None = None
) -> list[Event]:
    """Events before an offset (or the head), newest first."""
    found = EventRecord.objects.filter(stream=stream).order_by("-offset")
    if before is not None:
        found = found.filter(offset__lt=before)
    return _enough(stream, found, "lt", limit, types)


def _events(stream: int, records: Sequence[EventRecord]) -> list[Event]:
    """Records as values. What was left to its row when the log was pruned is read there, all in one query.

    If the row has changed since, or is gone, nobody knows what the event said. It is passed over like one
    that was pruned; the doctor says so.
    """
    if left := [record for record in records if record.value is None]:
        types, keys = {record.type for record in left}, {record.key for record in left}
        holding = RowRecord.objects.filter(stream=stream, type__in=types, key__in=keys)
        values = dict(holding.values_list("version", "value"))
        for record in left:
            record.value = values.get(record.offset)
    return [event_of(record) for record in records if record.value is not None]


def rows(stream: int, type: str) -> list[Row]:
    """All rows of a type in order of creation."""
    found = RowRecord.objects.filter(stream=stream, type=type).order_by("created")
    return [row_of(record) for record in found]


def row(stream: int, type: str, key: str) -> Row | None:
    """The committed row of a type with a key, or `None`."""
    found = dialect().rows([(stream, type, key)]) if is_storable(key) else []
    return as_row(found[0]) if found else None


def rows_where(stream: int, type: str, fields: Mapping[str, Any]) -> list[Row]:
    """The rows of a type whose fields, as they are stored, equal these values, in order of creation.

    Equal is what Python calls so (`1 == 1.0 == True`). The database chooses by plain values, and finds no
    fewer than that; what it cannot tell is compared here.
    """
    found = RowRecord.objects.filter(stream=stream, type=type)
    for name, value in fields.items():
        if isinstance(value, str) and not is_storable(value):
            return []
        if name.isascii() and name.isidentifier() and (wanted := _where(KeyTransform(name, "value"), value)):
            found = found.filter(wanted)
    chosen = (row_of(record) for record in found.order_by("created"))
    return [row for row in chosen if has_fields(row, fields)]


def has_fields(row: Row, fields: Mapping[str, Any]) -> bool:
    """Whether fields of a row equal these values."""
    return all(row.value.get(name) == value for name, value in fields.items())


def _where(field: KeyTransform, value: Any) -> Q | None:
    """What finds no fewer rows than Python would by a value; `None` if the database cannot tell."""
    if value is None:  # also what is not there
        return Q(KeyTransformIsNull(field, True)) | _equals(field, None)
    if isinstance(value, str):
        return _equals(field, value)
    if not isinstance(value, int | float) or not abs(value) < _EXACT:
        return None
    number = _equals(field, int(value) if value == int(value) else value)
    return number | _equals(field, bool(value)) if value in (0, 1) else number


def _equals(field: KeyTransform, value: Any) -> Q:
    return Q(KeyTransformExact(field, Value(value, JSONField())))


def count_of(stream: int, type: str) -> int:
    """How many rows of a type there are."""
    return RowRecord.objects.filter(stream=stream, type=type).count()


def window(
    stream: int,
    before: int | None = None,
    limit: int = 100,
    types: Sequence[str] | None = None,
    *,
    head: int | None = None,
) -> list[Row]:
    """The newest rows (created before an offset), returned in order of creation.

    `head`: the log's, if it is known: for a short log that saves a statement.
    """
    found = RowRecord.objects.filter(stream=stream).order_by("-created")
    if before is not None:
        found = found.filter(created__lt=before)
    return [row_of(record) for record in reversed(_first(found, limit, types, head))]


def _first(found: QuerySet[M], limit: int, types: Sequence[str] | None, head: int | None = None) -> list[M]:
    """The first `limit` records of some types, in the order of the query, which is that of an index.

    A database would walk that index until it has seen enough of them: all of the log if they are rare. So it
    looks only at what is near; if that was not enough, each type is read by its own index. With a low `head`
    all is near.
    """
    if types is None:
        return list(found[:limit])
    if len(types) == 1:
        return list(found.filter(type=types[0])[:limit])
    order = str(found.query.order_by[0])
    place, backwards = order.lstrip("-"), order.startswith("-")
    edge = None
    if head is None or head > limit * _NEAR:
        edge = found.values_list(place, flat=True)[limit * _NEAR : limit * _NEAR + 1].first()
    near = found.filter(type__in=types)
    if edge is not None:
        near = near.filter(**{f"{place}__{'gt' if backwards else 'lt'}": edge})
    hits = list(near[:limit])
    if len(hits) == limit or edge is None:
        return hits
    each = [found.filter(type=type).values_list(place, flat=True)[:limit] for type in set(types)]
    chosen = list(islice(merge(*each, reverse=backwards), limit))
    return list(found.filter(**{f"{place}__in": chosen, "type__in": types}))
