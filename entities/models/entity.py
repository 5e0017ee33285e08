"""An entity: anything long-lived and addressable at `/{type}/{id}`."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from shared_state.api import clock
from shared_state.models import Stream


class Entity(models.Model):
    """One agent. Its log is `stream`; the columns here are what claiming and listing need."""

    class State(models.TextChoices):
        """What is written down. Whether it *runs* follows from the lease, see `status`."""

        SPAWNING = "spawning", "Spawning"
        IDLE = "idle", "Idle"
        PAUSED = "paused", "Paused"
        STOPPING = "stopping", "Stopping"
        STOPPED = "stopped", "Stopped"
        KILLED = "killed", "Killed"
        ERROR = "error", "Error"

    type = models.CharField(max_length=64)
    slug = models.CharField(max_length=128)
    url = models.CharField(max_length=200, unique=True)
    stream = models.OneToOneField(Stream, on_delete=models.CASCADE, related_name="entity")
    presence = models.ForeignKey(
        Stream, on_delete=models.CASCADE, related_name="+", help_text="Where its owner's list follows it."
    )
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children", db_index=False
    )
    owner = models.CharField(max_length=255)
    created_by = models.CharField(max_length=255)
    args = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    title = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.SPAWNING)
    created_at = models.DateTimeField()
    last_activity_at = models.DateTimeField()
    wake_count = models.PositiveIntegerField(default=0, help_text="How many wakes were numbered so far.")
    lease_owner = models.CharField(max_length=255, blank=True, default="")
    lease_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "entities"
        indexes = (
            models.Index(fields=("type",), name="entity_type"),
            models.Index(fields=("owner", "-last_activity_at"), name="entity_owner_activity"),
            models.Index(fields=("owner", "-id"), name="entity_owner_tops", condition=Q(parent__isnull=True)),
            models.Index(fields=("-id",), name="entity_tops", condition=Q(parent__isnull=True)),
            # Not of those without one: a database that was analyzed would look for tops there.
            models.Index(fields=("parent", "id"), name="entity_children", condition=Q(parent__isnull=False)),
            models.Index(
                fields=("lease_expires_at",), name="entity_lease", condition=Q(lease_expires_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return self.url

    @property
    def status(self) -> str:
        """`running` while somebody holds the lease, else what is written down.

        A lease that ended without being given back shows `idle`: the wake is due again, nothing is left
        behind that somebody would have to clear.
        """
        expires = self.lease_expires_at
        if expires is not None and expires > clock.now() and self.state not in ("stopped", "killed"):
            return "running"
        return self.state
