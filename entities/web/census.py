"""How many agents there are, counted up to a bound and never from a list that was cut."""

from __future__ import annotations

from django.db.models import QuerySet

from entities.models import Entity
from shared_state.api import how_many

COUNTED = 1_000
"""Up to how many are counted, and can be paged to."""


def count(agents: QuerySet[Entity]) -> str:
    """How many agents there are, in words. One query, which reads one more than the bound at the most."""
    return in_words(agents.values("pk")[: COUNTED + 1].count())


def in_words(count: int) -> str:
    """A number of agents that was counted up to one more than the bound.

    >>> in_words(7), in_words(1_001)
    ('7', '1,000+')
    """
    return how_many(count, COUNTED)
