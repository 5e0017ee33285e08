"""A grant: what somebody who is not the owner may do with a stream and its descendants."""

from __future__ import annotations

from django.db import models

from shared_state.models.stream import Stream


class Grant(models.Model):
    """One principal, one role, one stream."""

    class Role(models.TextChoices):
        """What people may do; each role includes the ones before it."""

        VIEW = "view", "View"
        CHAT = "chat", "Chat"
        MANAGE = "manage", "Manage"

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="grants")
    principal = models.CharField(max_length=255, db_index=True)
    role = models.CharField(max_length=8, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("stream", "principal"), name="grant_stream_principal"),
        )

    def __str__(self) -> str:
        return f"{self.principal}: {self.role}"
