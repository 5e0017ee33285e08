"""From appended events to wakes of those who observe, inside the same transaction.

The lower app never learns who listens: this is connected to its one signal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.db.models import Exists, OuterRef

from entities import presence
from entities.catalog.events import COLLECTIONS, EVENTS, LOG_ONLY
from entities.exceptions import UnknownType
from entities.lookups import AGENTS, OBSERVERS
from entities.models import Entity, Subscription
from entities.types.registry import registry
from entities.wakes import wake
from shared_state.api import Event, Unit, events_appended
from shared_state.models import Stream, around_deletion

_QUIET = (frozenset(EVENTS) | LOG_ONLY) - {"tags"}
"""Types of an entity's own log that are not changes of its state; without a filter they wake nobody."""


def connect() -> None:
    """Listen. Called once, when the app is ready."""
    events_appended.listen(wake_observers, dispatch_uid="entities.wakes.receivers.wake_observers")
    if _unobserving not in around_deletion:
        around_deletion.append(_unobserving)


@contextmanager
def _unobserving(streams: Sequence[int]) -> Iterator[set[int]]:
    """When observers are deleted, what nobody observes any more is not observed: `observed` costs appends."""
    theirs = Subscription.objects.filter(observer__stream__in=streams)
    sources = set(theirs.values_list("source_id", flat=True))
    yield sources
    if sources:
        left = Subscription.objects.filter(source=OuterRef("pk"))
        Stream.objects.filter(~Exists(left), pk__in=sources, observed=True).update(observed=False)


def wake_observers(sender: Any, unit: Unit, events: list[Event], **kwargs: Any) -> None:
    """Write the wakes that these events cause."""
    by_stream: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        if event.type not in LOG_ONLY:
            by_stream[event.stream].append(event)
    if not by_stream:
        return
    # Of all observed streams of the batch at once: others will ask for theirs.
    unit.tables.ask(OBSERVERS, {*unit.streams.observed(), *by_stream})
    listening = [each for stream in by_stream for each in unit.tables.find(OBSERVERS, stream)]
    unit.tables.ask(AGENTS, [each.observer_id for each in listening])
    for subscription in sorted(listening, key=lambda each: each.pk):
        observer = unit.tables.one(AGENTS, subscription.observer_id)
        if observer is not None and not presence.is_over(observer):
            _wake(unit, subscription, observer, by_stream[subscription.source_id])


def _wake(unit: Unit, subscription: Subscription, observer: Entity, events: list[Event]) -> None:
    if subscription.kind == Subscription.Kind.RUN_FINISHED:
        for event in events:
            if event.type == "run" and event.value["status"] in ("completed", "failed"):
                wake.request_finished(unit, subscription, observer, _finished(subscription, event))
        return
    matching = [event for event in events if _matches(subscription, observer, event)]
    if matching:
        names = _names(unit, subscription)
        wake.request_change(unit, subscription, observer, [_change(event, names) for event in matching])


def _finished(subscription: Subscription, event: Event) -> dict[str, Any]:
    url = subscription.source_url
    failed = event.value["status"] == "failed"
    return {
        "url": url, "type": url.split("/")[1], "run_id": event.key, "run_status": event.value["status"],
        "error": event.value.get("finish_reason") if failed else None,
    }  # fmt: skip


def _matches(subscription: Subscription, observer: Entity, event: Event) -> bool:
    """Whether a change counts. An entity's own writes never wake it: it knows of them."""
    if event.provenance.writer == f"agent:{observer.url}":
        return False
    if subscription.operations and event.operation not in subscription.operations:
        return False
    if subscription.types is None:
        return event.type not in _QUIET
    return event.type in subscription.types


def _names(unit: Unit, subscription: Subscription) -> dict[str, str]:
    """What the source's collections are called, by event type: as handlers and conditions call them."""
    if not subscription.source_url.startswith("/"):
        schema = unit.stream(subscription.source_id).schema
        return {spec["type"]: name for name, spec in schema.items()}
    names = {type: name for name, type in COLLECTIONS.items()}
    with suppress(UnknownType):
        own = registry.get(subscription.source_url.split("/")[1]).state
        names |= {spec.type: name for name, spec in own.items()}
    return names


def _change(event: Event, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "collection": names.get(event.type, event.type.removeprefix("state:")), "kind": event.operation,
        "key": event.key, "offset": event.offset, "by": event.provenance.writer,
    }  # fmt: skip
