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
from entities.models import Entity, Subscription, Wake
from entities.types.registry import registry
from entities.wakes import wake
from shared_state.api import Event, Unit, events_appended
from shared_state.models import Stream, around_deletion

_QUIET = (frozenset(EVENTS) | LOG_ONLY) - {"tags"}
"""Types of an entity's own log that are not changes of its state; without a filter they wake nobody."""

MOST_LINKS = 64
"""How many agents are remembered whose runs led to each other by ending."""


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
        if event.type not in LOG_ONLY or unit.stream(event.stream).kind != Stream.Kind.ENTITY:
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
            if _is_end(subscription, observer, event):
                chain = _chain(unit, event)
                if observer.url not in chain:  # those who observe each other would wake each other for ever
                    wake.request_finished(unit, subscription, observer, _finished(subscription, event), chain)
        return
    matching = [event for event in events if _matches(subscription, observer, event)]
    if matching:
        names = _names(unit, subscription)
        wake.request_change(unit, subscription, observer, [_change(event, names) for event in matching])


def _chain(unit: Unit, event: Event) -> list[str]:
    """Whose runs led to this one, each by ending: the newest first."""
    key = event.provenance.wake
    woke = unit.row(event.stream, "wake", key) if key else None
    if woke is None or woke.value.get("reason") != Wake.Reason.RUN_FINISHED:
        return []
    return [woke.value["source"], *woke.value.get("chain", [])][:MOST_LINKS]


def _finished(subscription: Subscription, event: Event) -> dict[str, Any]:
    url = subscription.source_url
    failed = event.value["status"] == "failed"
    return {
        "url": url, "type": url.split("/")[1], "run_id": event.key, "run_status": event.value["status"],
        "error": event.value.get("finish_reason") if failed else None,
    }  # fmt: skip


def _is_end(subscription: Subscription, observer: Entity, event: Event) -> bool:
    """Whether somebody else's run ended."""
    if subscription.source_id == observer.stream_id or event.type != "run":
        return False
    return event.value["status"] in ("completed", "failed")


def _is_own(subscription: Subscription, observer: Entity, event: Event) -> bool:
    """Whether an entity did it, or it was done for one of its wakes: it knows of that.

    In its own log that is also what workers note of its wakes and runs, whoever they are.
    """
    writer = event.provenance.writer
    own_log = subscription.source_id == observer.stream_id
    return writer == f"agent:{observer.url}" or (own_log and writer.startswith("system:"))


def _matches(subscription: Subscription, observer: Entity, event: Event) -> bool:
    """Whether a change counts. An entity's own writes and runs never wake it, by any condition."""
    if _is_own(subscription, observer, event):
        return False
    if subscription.operations and event.operation not in subscription.operations:
        return False
    if subscription.types is None:
        return event.type not in _QUIET or not _is_entity(subscription)
    return event.type in subscription.types


def _is_entity(subscription: Subscription) -> bool:
    """Whether an entity is observed, not a shared state: there the names of what is built in are free."""
    return subscription.source_url.startswith("/")


def _names(unit: Unit, subscription: Subscription) -> dict[str, str]:
    """What the source's collections are called, by event type: as handlers and conditions call them."""
    if not _is_entity(subscription):
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
