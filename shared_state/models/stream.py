"""A stream: an ordered, durable log with an owner."""

from __future__ import annotations

from django.db import models


class Stream(models.Model):
    """One log. `head` is the offset of its last event; offsets are 1, 2, 3, … without gaps."""

    class Kind(models.TextChoices):
        """What a stream is for."""

        ENTITY = "entity", "Agent"
        SHARED = "shared", "Shared state"
        PRESENCE = "presence", "Presence"

    path = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    owner = models.CharField(max_length=255, db_index=True, help_text="The principal that owns it: user:ada")
    root = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="descendants",
        help_text="The topmost stream of its family; grants there hold for all of it.",
    )  # fmt: skip
    head = models.BigIntegerField(default=0)
    epoch = models.BigIntegerField(default=0, help_text="Writes of a lease holder must carry this number.")
    observed = models.BooleanField(default=False, help_text="Somebody subscribed to changes here.")
    closed = models.BooleanField(default=False)
    schema = models.JSONField(
        default=dict, blank=True, help_text="Collections by name, with their JSON Schemas."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.path
