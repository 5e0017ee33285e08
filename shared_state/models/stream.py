"""A stream: an ordered, durable log with an owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from django.db import models, transaction
from django.db.models import Q

from shared_state.models.ordered_json import OrderedJSONField

around_deletion: list[Callable[[Sequence[int]], AbstractContextManager[Iterable[int]]]] = []
"""Entered with the streams that are to be deleted, in the transaction of it; left when they are gone.

Each names the streams that it will change then, so that they are locked in one order with the others.
"""


class StreamQuerySet(models.QuerySet["Stream"]):
    """Streams; deleting them takes their locks first, as every write does."""

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete streams and what hangs on them, in one transaction.

        What hangs on a stream is only touched by who holds its lock, and locks are taken in order of id: a
        deletion that began with a stream's rows would meet a writer that began with the stream.
        """
        with transaction.atomic(using=self.db):
            chosen = self.order_by().values("pk")
            streams = Stream.objects.using(self.db)
            family = list(streams.filter(Q(pk__in=chosen) | Q(root__in=chosen)).values_list("pk", flat=True))
            with ExitStack() as others:
                concerned = {
                    ident for around in around_deletion for ident in others.enter_context(around(family))
                }
                locked = Q(pk__in=chosen) | Q(root__in=chosen) | Q(pk__in=concerned)
                list(streams.filter(locked).select_for_update().order_by("pk").values_list("pk"))
                return super().delete()


class Stream(models.Model):
    """One log. `head` is the offset of its last event; offsets are given out as 1, 2, 3, … without gaps.

    The event at the head is always there. Of those up to `swept`, some may have been pruned; those before
    `begins` were archived.
    """

    class Kind(models.TextChoices):
        """What a stream is for."""

        ENTITY = "entity", "Agent"
        SHARED = "shared", "Shared state"
        PRESENCE = "presence", "Presence"

    path = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    owner = models.CharField(max_length=255, help_text="The principal that owns it: user:ada")
    root = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="descendants", db_index=False,
        help_text="The topmost stream of its family; grants there hold for all of it.",
    )  # fmt: skip
    head = models.BigIntegerField(default=0)
    begins = models.BigIntegerField(
        default=1, db_default=1, help_text="What came before this offset was archived."
    )
    swept = models.BigIntegerField(
        default=0, db_default=0, help_text="How far it was pruned; after that, nothing is missing."
    )
    epoch = models.BigIntegerField(default=0, help_text="Writes of a lease holder must carry this number.")
    observed = models.BooleanField(default=False, help_text="Somebody subscribed to changes here.")
    closed = models.BooleanField(default=False)
    schema = OrderedJSONField(
        default=dict, blank=True, help_text="Collections by name, with their JSON Schemas."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StreamQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("owner", "kind", "id"), name="stream_owner_kind"),
            # Families, the newest first, each in the order in which it was made: no list need sort one.
            models.Index(
                fields=("-root", "kind", "id"), name="stream_family", condition=Q(root__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return self.path

    def delete(self, using: str | None = None, keep_parents: bool = False) -> Any:
        """Delete it and what hangs on it; see `StreamQuerySet.delete`."""
        database = using or self._state.db
        return Stream.objects.using(database).filter(pk=self.pk).delete()
