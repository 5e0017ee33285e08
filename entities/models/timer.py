"""A timer: a message that is to be delivered later."""

from __future__ import annotations

from django.db import models

from entities.models.entity import Entity


class Timer(models.Model):
    """`send(..., after=…)`: written with the event that set it, deleted with the message it becomes."""

    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="timers", db_index=False)
    sender = models.CharField(max_length=255)
    payload = models.JSONField()
    message_type = models.CharField(max_length=100, blank=True, default="")
    key = models.CharField(max_length=255, help_text="The key of the message; makes delivery repeatable.")
    due_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("entity", "key"), name="timer_once"),)
        indexes = (models.Index(fields=("key",), name="timer_key"),)

    def __str__(self) -> str:
        return f"message to {self.entity_id} at {self.due_at:%F %T}"
