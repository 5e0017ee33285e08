"""What a wake says of a child that finished: how, what it said, and how its siblings fare.

It is worked out for all wakes of a claim at once, from what is committed: the run is over, so its texts do
not change any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.db.models import Case, Count, F, OuterRef, Q, When, Window
from django.db.models.functions import RowNumber

from entities.catalog import log
from entities.catalog.sanitize import shortened
from entities.lookups import SUBSCRIPTIONS
from entities.models import Entity, Subscription, Wake
from shared_state.api import NewEvent, Unit
from shared_state.models import RowRecord

MAX_RESPONSE = 64_000
"""How many bytes of what a finished child said its report holds; the rest is to be read in its log."""
MAX_SIBLINGS = 8
"""How many siblings of a finished child a report lists, those that are not done first.

Each of n children makes a report, so what reports repeat of the others grows with the square of n.
"""

LOOKED_AT = 200
"""Among how many of the newest siblings those are looked for that are not done."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is added to a wake's payload, and the events that the parent's log gets with the wake."""

    payload: dict[str, Any]
    events: list[NewEvent]


class _Family(NamedTuple):
    size: int
    edge: int
    some: list[Entity]


def reports(unit: Unit, wakes: Sequence[Wake]) -> dict[int, Report]:
    """By wake, the report of its finished child; those that report none are left out."""
    telling = [wake for wake in wakes if wake.payload.get("finished_child") is not None]
    if not telling:
        return {}
    unit.tables.ask(SUBSCRIPTIONS, [wake.subscription_id for wake in telling if wake.subscription_id])
    said = _responses(unit, telling)
    known = _known([wake.payload["finished_child"]["url"] for wake in telling])
    siblings = _siblings([wake.entity_id for wake in telling])
    found = {}
    for wake in telling:
        child = dict(wake.payload["finished_child"])
        family = siblings.get(wake.entity_id, _Family(0, 0, []))
        if wake.pk in said:
            child["response"] = said[wake.pk]
        # That it still rests is no news.
        status, parent = known.get(child["url"], (Entity.State.STOPPED.value, None))
        listed = [each for each in family.some if each.url != child["url"]][:MAX_SIBLINGS]
        count = family.size - (parent == wake.entity_id)
        news = {"entity_url": child["url"], "entity_type": child["type"], "status": status}
        found[wake.pk] = Report(
            {
                "finished_child": child,
                "other_children": [
                    {"url": each.url, "type": each.type, "status": each.status} for each in listed
                ],
                "more_children": max(0, count - len(listed)),
            },
            [log.new("child_status", child["url"], news, "upsert")],
        )
    return found


def _responses(unit: Unit, wakes: Sequence[Wake]) -> dict[int, str]:
    """By wake, the texts of the finished run, where the observer asked for them."""
    runs: dict[tuple[int, str], list[int]] = defaultdict(list)
    for wake in wakes:
        asked = unit.tables.one(SUBSCRIPTIONS, wake.subscription_id) if wake.subscription_id else None
        if asked is not None and asked.kind == Subscription.Kind.RUN_FINISHED and asked.include_response:
            runs[asked.source_id, wake.payload["finished_child"]["run_id"]].append(wake.pk)
    found: dict[int, str] = {}
    for run, texts in _texts(list(runs)).items():
        for ident in runs[run]:
            found[ident] = shortened("\n\n".join(texts), MAX_RESPONSE)
    return found


def _texts(runs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[str]]:
    """By stream and run, what was said in it. A run that is not there any more is left out."""
    if not runs:
        return {}
    named = reduce(or_, (Q(stream=stream, key=run) for stream, run in runs))
    began = RowRecord.objects.filter(named, type="run").values_list("stream_id", "key", "created")
    found: dict[tuple[int, str], list[str]] = {(stream, run): [] for stream, run, _ in began}
    if found:
        later = reduce(or_, (Q(stream=stream, created__gt=created) for stream, _, created in began))
        texts = RowRecord.objects.filter(later, type="text", value__run_id__in=[run for _, run in found])
        for stream, value in texts.order_by("stream", "created").values_list("stream_id", "value"):
            if value.get("content") and (stream, value["run_id"]) in found:
                found[stream, value["run_id"]].append(value["content"])
    return found


def _known(urls: Sequence[str]) -> dict[str, tuple[str, int | None]]:
    """By address, the state and the parent of those that there are."""
    found = Entity.objects.filter(url__in=urls).values_list("url", "state", "parent_id")
    return {url: (state, parent) for url, state, parent in found}


def _siblings(parents: Sequence[int]) -> dict[int, _Family]:
    """By parent how many children it has, and some of them.

    Those of the newest that run or were never run come first; one more than are listed, so that one may be
    left out. However large a family is, no more of its rows are read; the rest is only counted, in its index.
    """
    of_one = Entity.objects.filter(parent=OuterRef("pk"))
    families = Entity.objects.filter(pk__in=parents).annotate(
        count=of_one.order_by().values("parent").annotate(count=Count("pk")).values("count"),
        edge=of_one.order_by("-pk").values("pk")[LOOKED_AT - 1 : LOOKED_AT],
    )
    found = {
        parent: _Family(count or 0, edge or 0, [])
        for parent, count, edge in families.values_list("pk", "count", "edge")
    }
    if not found:
        return {}
    looked_at = reduce(or_, (Q(parent=parent, pk__gte=family.edge) for parent, family in found.items()))
    done = Q(lease_expires_at=None) & ~Q(state=Entity.State.SPAWNING)
    order = (Case(When(done, then=1), default=0).asc(), F("id").asc())
    numbered = Entity.objects.filter(looked_at).annotate(
        place=Window(RowNumber(), partition_by=F("parent"), order_by=order)
    )
    for child in numbered.filter(place__lte=MAX_SIBLINGS + 1).order_by("place"):
        if child.parent_id is not None:
            found[child.parent_id].some.append(child)
    return found
