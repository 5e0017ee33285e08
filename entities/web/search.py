"""The search for agents: by parts of their titles and addresses, among those that one may see.

No index finds any part of a word in both databases, so it looks at each title; and at no more of them than
`SEARCHED`, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from entities.models import Entity
from entities.web import census, queries
from entities.web.queries import Found, Listing
from shared_state.api import Principal, granted, sees_all

SEARCHED = 10_000
"""How many of one's own agents are looked at, and of those in families that were granted."""
WORDS = 8
"""How many words are looked for at the most."""


def search(principal: Principal, words: str, skipped: int = 0) -> Listing:
    """Agents whose title or address contains every word, the most recently active first, counted to a bound.

    If one may see more than `SEARCHED`, those of one's own are searched that were active last, for staff
    those that were made last; of families that were granted, the newest families from their beginning.

    Five queries, four for staff, and three more for whom something was granted.
    """
    matching = Q()
    for word in words.split()[:WORDS]:
        matching &= Q(title__icontains=word) | Q(url__icontains=word)
    seen: set[Found] = set()
    whole = True
    for agents, order, is_whole in _reach(principal):
        first = agents.filter(matching).order_by(*order)[: census.COUNTED + 1]
        columns = ("last_activity_at", "id", "stream_id", "presence_id")
        seen.update(Found(*each) for each in first.values_list(*columns))
        whole &= is_whole
    found = sorted(seen, reverse=True)[: census.COUNTED + 1]
    shown = found[skipped : skipped + queries.FOUND]
    feeds = queries.presence_feeds(principal, {each.presence for each in shown})
    some = Entity.objects.filter(id__in=[each.id for each in shown]).order_by("-last_activity_at", "-id")
    among = None if whole else SEARCHED
    return Listing(queries.listed(some), feeds, found=len(found), skipped=skipped, among=among)


def _reach(principal: Principal) -> Iterator[tuple[QuerySet[Entity], list[Any], bool]]:
    """What is searched, in parts: agents, in which order the first are taken, and whether these are all."""
    all_agents, me = Entity.objects.all(), str(principal)
    if sees_all(principal):
        yield _latest(all_agents, "id", ["-id"])
        return
    yield _latest(all_agents.filter(owner=me), "last_activity_at", ["-last_activity_at"])
    at = granted(principal)
    if isinstance(at, list) and not at:
        return
    # Said so that no index knows the order: it would lead through everybody's.
    order = [Coalesce(F("last_activity_at"), F("last_activity_at")).desc()]
    yield all_agents.filter(stream__in=at), order, True
    members = queries.in_families(at).values_list("pk", flat=True)
    some = list(members[: SEARCHED + 1])
    yield all_agents.filter(stream__in=some[:SEARCHED]), order, len(some) <= SEARCHED


def _latest(agents: QuerySet[Entity], by: str, order: list[Any]) -> tuple[QuerySet[Entity], list[Any], bool]:
    """Those that come first by a column which an index knows in this order. One query."""
    edge = agents.order_by(*order).values_list(by, flat=True)[SEARCHED : SEARCHED + 1].first()
    return (agents if edge is None else agents.filter(**{f"{by}__gt": edge})), order, edge is None
