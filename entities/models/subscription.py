"""A subscription: an entity wants to wake when something happens in a stream. One row, one reason."""

from __future__ import annotations

from django.db import models

from entities.models.entity import Entity
from shared_state.models import Stream


class Subscription(models.Model):
    """Removing one touches one; nothing else is silenced."""

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
    debounce_ms = models.PositiveIntegerField(default=0)
    timeout_ms = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("observer", "source", "kind"), name="subscription_once"),
        )

    def __str__(self) -> str:
        return f"{self.observer_id} on {self.source_url}: {self.kind}"
