"""What a run leaves behind, without what may differ: times, offsets, epochs and attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from entities.catalog.events import LOG_ONLY
from entities.models import Entity, Timer, Wake
from shared_state.models import EventRecord, RowRecord, Stream

_TIMES = frozenset({"timestamp", "duration_ms", "pace", "lease_until", "offset"})
_PASSING = frozenset({"started", "streaming", "args_complete", "executing"})
"""States on the way: a step that was cut off passes through them again."""


def outcome() -> dict[str, Any]:
    """Everything that counts, as JSON."""
    paths = dict(Stream.objects.values_list("pk", "path"))
    return {
        "rows": {
            f"{paths[row.stream_id]} {row.type} {_name(row)}": [
                _said(row),
                row.wake,
                row.run,
                row.tool_call,
            ]
            for row in RowRecord.objects.all()
        },
        "effects": dict(_effects(paths)),
        "wakes": [
            [wake.entity.url, wake.number, wake.reason, wake.source, wake.state, wake.error]
            for wake in Wake.objects.select_related("entity").order_by("entity__url", "number")
        ],
        "entities": [
            [entity.url, entity.state, entity.title, entity.tags, entity.lease_owner]
            for entity in Entity.objects.order_by("url")
        ],
        "timers": Timer.objects.count(),
        "events": [[stream.path, stream.events.count() - stream.head] for stream in Stream.objects.all()],
        "partial": [row.key for row in RowRecord.objects.filter(value__status__in=_PASSING)],
    }


def differences(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """What is not the same, in words."""
    for part, wanted in expected.items():
        ours, theirs = _keyed(wanted), _keyed(found[part])
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                yield f"{part} {key}: expected {ours.get(key)!r}, found {theirs.get(key)!r}"


def _keyed(part: Any) -> dict[str, Any]:
    if isinstance(part, dict):
        return part
    return {str(number): each for number, each in enumerate(part)} if isinstance(part, list) else {"": part}


def _effects(paths: dict[int, str]) -> Iterator[tuple[str, Any]]:
    """What was done to each row, in order: a double effect shows here even if the row comes out the same."""
    done: dict[str, list[Any]] = defaultdict(list)
    for event in EventRecord.objects.exclude(type__in=LOG_ONLY).order_by("stream_id", "offset"):
        if paths[event.stream_id].startswith("presence:") or _is_passing(event):
            continue
        key = f"{paths[event.stream_id]} {event.type} {_name(event)}"
        done[key].append([event.operation if event.operation == "delete" else "put", _said(event)])
    yield from done.items()


def _name(found: RowRecord | EventRecord) -> str:
    """Its key; those of signals are random, and there is one of them for each agent."""
    return "" if found.type == "signal" else found.key


def _said(found: RowRecord | EventRecord) -> Any:
    said = _plain(found.value)
    return {**said, "key": ""} if found.type == "signal" else said


def _is_passing(event: EventRecord) -> bool:
    return (event.value or {}).get("status") in _PASSING


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _plain(each)
            for name, each in value.items()
            if name not in _TIMES and not name.endswith("_at")
        }
    return [_plain(each) for each in value] if isinstance(value, list) else value
