"""A subscription: an entity wants to wake when something happens in a stream. One row, one reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from django.db import models

from entities.models.entity import Entity
from shared_state.models import Stream


def narrowing_of(types: Sequence[str] | None, operations: Sequence[str] | None) -> str:
    """What tells conditions on the same source apart: `""` if all rows wake.

    >>> narrowing_of(None, None), narrowing_of(["b", "a"], None) == narrowing_of(["a", "b"], [])
    ('', True)
    """
    if types is None and not operations:
        return ""
    told = json.dumps([None if types is None else sorted(types), sorted(operations or ())])
    return hashlib.sha256(told.encode()).hexdigest()


class Subscription(models.Model):
    """Removing one touches one; nothing else is silenced. Those that watch different rows stand together."""

    class Kind(models.TextChoices):
        """What wakes the observer."""

        RUN_FINISHED = "run_finished", "Run finished"
        CHANGE = "change", "Change"

    observer = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="subscriptions")
    source = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="subscriptions")
    source_url = models.CharField(max_length=255)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    include_response = models.BooleanField(default=True)
    types = models.JSONField(null=True, blank=True, help_text="Event types, or null for all rows.")
    operations = models.JSONField(null=True, blank=True)
    narrowing = models.CharField(
        max_length=64, blank=True, default="", help_text="Of types and operations; see `narrowing_of`."
    )
    debounce_ms = models.PositiveBigIntegerField(default=0)
    timeout_ms = models.PositiveBigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("observer", "source", "kind", "narrowing"), name="subscription_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.observer_id} on {self.source_url}: {self.kind}"
