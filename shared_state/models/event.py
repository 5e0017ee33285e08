"""An event: one fact at an offset of a stream. Never changed; deleted only as its type's retention says."""

from __future__ import annotations

from django.db import models

from shared_state.models.stream import Stream


class EventRecord(models.Model):
    """One fact with its provenance."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="events", db_index=False)
    offset = models.BigIntegerField()
    type = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    operation = models.CharField(max_length=8)
    value = models.JSONField(
        null=True, help_text="None: what its row holds, which will not change any more (see log/retention)."
    )
    old = models.JSONField(null=True, blank=True)
    timestamp = models.DateTimeField()
    writer = models.CharField(max_length=255)
    wake = models.CharField(max_length=64, blank=True, default="")
    run = models.CharField(max_length=64, blank=True, default="")
    tool_call = models.CharField(max_length=128, blank=True, default="")
    client_key = models.CharField(max_length=255, null=True, blank=True)

    class Meta:
        verbose_name = "event"
        constraints = (
            models.UniqueConstraint(fields=("stream", "offset"), name="event_stream_offset"),
            models.UniqueConstraint(
                fields=("stream", "client_key"), name="event_client_key",
                condition=models.Q(client_key__isnull=False),
            ),
        )  # fmt: skip
        indexes = (models.Index(fields=("stream", "type", "offset"), name="event_stream_type"),)

    def __str__(self) -> str:
        return f"{self.type} {self.key} @{self.offset}"
