"""How many agents there are of each status, counted up to a bound and never from a list that was cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Case, F, Q, QuerySet, Value, When

from entities.models import Entity
from entities.web.words import status_word
from shared_state.api import clock, how_many

COUNTED = 1_000
"""Up to how many are counted, and can be paged to."""


@dataclass(frozen=True, slots=True)
class Census:
    """How many agents there are of each status."""

    by_status: Mapping[str, int]

    @property
    def total(self) -> str:
        """How many there are in all, in words."""
        return how_many(sum(self.by_status.values()), COUNTED)

    @property
    def states(self) -> str:
        """How many of each status, in words; empty if not all were counted.

        >>> Census({"idle": 2, "error": 1}).states
        '1 failed, 2 idle'
        """
        if sum(self.by_status.values()) > COUNTED:
            return ""
        return ", ".join(f"{count} {status_word(name)}" for name, count in sorted(self.by_status.items()))


def count(agents: QuerySet[Entity]) -> Census:
    """Agents by the status that pages show. One query, which reads one more than the bound at the most."""
    over = Q(state__in=(Entity.State.STOPPED, Entity.State.KILLED))
    running = When(Q(lease_expires_at__gt=clock.now()) & ~over, then=Value("running"))
    status = Case(running, default=F("state"))
    return Census(Counter(agents.annotate(shown=status).values_list("shown", flat=True)[: COUNTED + 1]))
