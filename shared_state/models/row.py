"""A row: what the events of one type and key amount to."""

from __future__ import annotations

from django.db import models

from shared_state.models.stream import Stream


class RowRecord(models.Model):
    """The current value of a key, its version, and the provenance of its last change."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="rows", db_index=False)
    type = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    value = models.JSONField()
    created = models.BigIntegerField(help_text="Offset at which this row came to be.")
    version = models.BigIntegerField(help_text="Offset of its last change.")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    writer = models.CharField(max_length=255)
    wake = models.CharField(max_length=64, blank=True, default="")
    run = models.CharField(max_length=64, blank=True, default="")
    tool_call = models.CharField(max_length=128, blank=True, default="")

    class Meta:
        verbose_name = "row"
        constraints = (models.UniqueConstraint(fields=("stream", "type", "key"), name="row_stream_type_key"),)
        indexes = (
            models.Index(fields=("stream", "created"), name="row_stream_created"),
            models.Index(fields=("stream", "type", "created"), name="row_stream_type_created"),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.key}"
