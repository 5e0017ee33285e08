"""A wake: a persisted reason to run a handler."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from entities.models.entity import Entity
from entities.models.subscription import Subscription


class Wake(models.Model):
    """One reason. It is written in the transaction of the event that causes it."""

    class State(models.TextChoices):
        """Pending until claimed; done, or parked after the last attempt."""

        PENDING = "pending", "Pending"
        CLAIMED = "claimed", "Claimed"
        DONE = "done", "Done"
        PARKED = "parked", "Parked"

    class Reason(models.TextChoices):
        """What happened, in the word that pages and payloads use."""

        INBOX = "inbox", "Message"
        RUN_FINISHED = "run_finished", "Child finished"
        CHANGE = "change", "Change"
        MANUAL = "manual", "By hand"

    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="wakes", db_index=False)
    reason = models.CharField(max_length=16, choices=Reason.choices)
    source = models.CharField(max_length=255, help_text="Who or what caused it: an address or a principal.")
    subscription = models.ForeignKey(
        Subscription, null=True, blank=True, on_delete=models.SET_NULL, related_name="wakes", db_index=False
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    payload = models.JSONField(default=dict, blank=True)
    number = models.PositiveIntegerField(
        null=True, blank=True, help_text="Its number in the entity, once claimed."
    )
    from_offset = models.BigIntegerField(default=0)
    to_offset = models.BigIntegerField(default=0, help_text="Exclusive; set when it is claimed.")
    due_at = models.DateTimeField()
    changed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the first of the changes that it reports happened."
    )
    attempts = models.PositiveIntegerField(default=0)
    epoch = models.BigIntegerField(default=0, help_text="Of the lease that runs it.")
    error = models.TextField(blank=True)
    interrupted_by = models.CharField(
        max_length=64, blank=True, default="",
        help_text="The key of the signal that its run is to stop for (SIGINT), whoever goes on with it.",
    )  # fmt: skip
    created_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("due_at", "id"), name="wake_due", condition=Q(state="pending")),
            models.Index(fields=("settled_at", "id"), name="wake_settled", condition=Q(state="done")),
            models.Index(fields=("entity", "state"), name="wake_entity_state"),
            models.Index(
                fields=("subscription", "state"),
                name="wake_mergeable",
                condition=Q(subscription__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.reason} for {self.entity_id}: {self.state}"
