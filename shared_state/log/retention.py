"""Pruning: of a log that nobody will write to again, what only lived to be folded goes.

A sweep is one small transaction. It looks at what a stream has after `swept`, deletes what the retention of
each type allows, and moves `swept` on. It holds the stream's lock, and leaves a stream alone that somebody
else holds. Never deleted: the event at the head, by which readers know where they are; and events with a
client key, by which an append is known again.

What is left of a row that will not change any more is its last event, which says the same as the row. So the
event gives up its value, and whoever reads the log finds it in the row (`log.stream`, `log.wire`): a text is
stored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce

from shared_state.core import database
from shared_state.core.types import KEPT, Pieces, Retention, Versions
from shared_state.models import EventRecord, RowRecord, Stream

SWEEP_EVENTS = 500
"""How many events one transaction looks at, and deletes, at the most."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one transaction did. `more`: there is more to look at. `held`: somebody else has the stream."""

    looked_at: int = 0
    removed: int = 0
    more: bool = False
    held: bool = False


class _Found(NamedTuple):
    """An event, as far as its retention asks; `piece_of` is the key of the row whose piece it is."""

    offset: int
    type: str
    key: str
    operation: str
    timestamp: datetime
    client_key: str | None
    piece_of: str | None = None


class _Now(NamedTuple):
    """A row as it is: the offset of its last change, and its status."""

    version: int
    status: str | None


def sweep(
    stream: int, retention: Mapping[str, Retention], before: datetime, until: int | None = None
) -> Sweep:
    """Prune the next events of a stream: those written before a time, and before the offset `until`.

    Types that `retention` does not name are kept. A transaction of its own, in the thread that calls.
    """
    with database.atomic():
        free = Stream.objects.select_for_update(skip_locked=True, no_key=True)
        place = free.filter(pk=stream).values_list("swept", "head").first()
        if place is None:
            return Sweep(held=Stream.objects.filter(pk=stream).exists())
        swept, head = place
        found = _next(stream, retention, swept)
        old = list(takewhile(lambda event: _may_go(event, before, until), found))
        if not old:
            return Sweep()
        gone, settled = _judged(stream, retention, old)
        gone = (gone | _left_before(stream, retention, old, swept)) - {head}
        events = EventRecord.objects.filter(stream=stream)
        if gone:
            # Not `delete`: where anybody listens to deletions, of whatever, it would load them all first.
            events.filter(offset__in=gone)._raw_delete(database.alias())
        if settled:
            events.filter(offset__in=settled).update(value=None)
        Stream.objects.filter(pk=stream).update(swept=old[-1].offset)
    return Sweep(len(old), len(gone), len(old) == SWEEP_EVENTS)


def _may_go(event: _Found, before: datetime, until: int | None) -> bool:
    return event.timestamp <= before and (until is None or event.offset < until)


def _next(stream: int, retention: Mapping[str, Retention], swept: int) -> list[_Found]:
    fields = sorted({rule.field for rule in retention.values() if isinstance(rule, Pieces)})
    found = EventRecord.objects.filter(stream=stream, offset__gt=swept).order_by("offset")
    columns: list[Any] = ["offset", "type", "key", "operation", "timestamp", "client_key"]
    if fields:
        keys = [KT(f"value__{field}") for field in fields]
        columns.append(Coalesce(*keys) if len(keys) > 1 else keys[0])
    return [_Found(*values) for values in found.values_list(*columns)[:SWEEP_EVENTS]]


def _judged(
    stream: int, retention: Mapping[str, Retention], events: Sequence[_Found]
) -> tuple[set[int], set[int]]:
    """The offsets of those that go, and of those whose row says the same for good."""
    owners = {event.offset: owner for event in events if (owner := _owner(event, retention)) is not None}
    rows = _rows(stream, set(owners.values()))
    gone, settled = set(), set()
    for event in events:
        if event.offset not in owners or event.client_key is not None:
            continue
        rule, row = retention[event.type], rows.get(owners[event.offset])
        if _is_over(event, rule, row):
            gone.add(event.offset)
        elif isinstance(rule, Versions) and rule.over and row is not None and row.status in rule.over:
            settled.add(event.offset)
    return gone, settled


def _left_before(
    stream: int, retention: Mapping[str, Retention], events: Sequence[_Found], swept: int
) -> set[int]:
    """What an earlier sweep left because it was the newest then, of rows that never come to an end."""
    gone: set[int] = set()
    for type, rule in retention.items():
        keys = {event.key for event in events if event.type == type}
        if rule == Versions(None) and keys:
            left = EventRecord.objects.filter(stream=stream, type=type, offset__lte=swept, key__in=keys)
            gone.update(left.filter(client_key=None).values_list("offset", flat=True))
    return gone


def _owner(event: _Found, retention: Mapping[str, Retention]) -> tuple[str, str] | None:
    """Type and key of the row that decides about an event, if one does."""
    rule = retention.get(event.type, KEPT)
    if isinstance(rule, Versions):
        return event.type, event.key
    if isinstance(rule, Pieces) and event.piece_of is not None:
        return rule.of, event.piece_of
    return None


def _rows(stream: int, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], _Now]:
    wanted = set(places)
    if not wanted:
        return {}
    types, keys = zip(*wanted, strict=True)
    found = RowRecord.objects.filter(stream=stream, type__in=set(types), key__in=set(keys))
    rows = found.values_list("type", "key", "version", KT("value__status"))
    return {(type, key): _Now(version, status) for type, key, version, status in rows}


def _is_over(event: _Found, rule: Retention, row: _Now | None) -> bool:
    """Whether an event has served its time. Of a row that was deleted, its deletion is what remains."""
    if row is None:
        return event.operation != "delete"
    if isinstance(rule, Versions):
        return event.offset < row.version and (rule.over is None or row.status in rule.over)
    return isinstance(rule, Pieces) and row.status in rule.over
