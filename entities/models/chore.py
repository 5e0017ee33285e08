"""A chore: work that is done again and again by one worker at a time."""

from __future__ import annotations

from django.db import models


class Chore(models.Model):
    """Who does it until when, and how far it came: everything settled up to `place` is done."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.CharField(max_length=255, blank=True, default="")
    held_until = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True, help_text="Of the last wake that it dealt with.")
    place = models.BigIntegerField(default=0, help_text="The id of that wake.")

    def __str__(self) -> str:
        return self.name
