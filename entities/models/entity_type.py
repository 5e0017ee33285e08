"""An entity type as a row, so that pages, admin and API can list types without importing code."""

from __future__ import annotations

from django.db import models

from shared_state.models import OrderedJSONField


class EntityType(models.Model):
    """What `registry.define` said, as JSON. Written by the worker and by `manage.py migrate`."""

    name = models.CharField(max_length=64, primary_key=True)
    description = models.TextField(blank=True)
    creation_schema = OrderedJSONField(null=True, blank=True)
    inbox_schemas = OrderedJSONField(default=dict, blank=True)
    state_schemas = OrderedJSONField(
        default=dict, blank=True, help_text="Collections, as a stream stores them."
    )
    boards = OrderedJSONField(default=list, blank=True, help_text="How to show the state.")
    hidden = models.BooleanField(default=False, help_text="Not offered under New agent.")
    revision = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
