"""The pruner: what only lived to be folded goes once its wake is settled for a while; old wakes go, too.

Its work list is the settled wakes, in the order in which they were settled: a wake's log, and the presence of
its owner, have grown by something that is worth a look. So it costs what was done, not what there is. Each
step is one small transaction; a step that is cut off is done again, and does no harm then. One worker does it
at a time: the one that holds the chore.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.apps import apps
from django.db import transaction
from django.db.models import Min, Q

from entities import presence
from entities.catalog.events import RETENTION
from entities.conf import conf
from entities.models import Chore, Wake
from shared_state.api import Retention, clock, database, retention

NAME = "prune"
HOLD_SECONDS = 60.0
"""How long a worker that went silent keeps the chore, in seconds."""
WAKES_AT_ONCE = 200
"""How many wakes are looked at, or deleted, in one transaction at the most."""


_MODELS = [model for app in ("shared_state", "entities") for model in apps.get_app_config(app).get_models()]


@dataclass(frozen=True, slots=True)
class _Target:
    """A stream to sweep; `entity` is whose log it is, if it is one."""

    stream: int
    rules: Mapping[str, Retention]
    entity: int | None = None


class Pruner:
    """One worker's part in it. Call `step` from one thread at a time, which may use the database."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._holds_until: datetime | None = None
        self._targets: deque[_Target] = deque()
        self._held: list[_Target] = []
        """Streams that somebody else had: swept at the next look; nothing is ticked off before."""
        self._reached: tuple[datetime, int] | None = None
        """The last wake of those whose streams are being swept."""

    def step(self) -> bool:
        """Do the next small thing. Answers whether there is more to do for this worker now."""
        now = clock.now()
        if not self._hold(now):
            return False
        before = now - timedelta(seconds=conf.keep_versions_seconds)
        if self._targets:
            self._sweep(self._targets[0], before)
            return True
        if self._held:
            self._targets.extend(self._held)
            self._held.clear()
            return False
        if self._reached is not None:
            self._save(self._reached)
            self._reached = None
            return True
        if self._take(before):
            return True
        return self._delete_wakes(now - timedelta(seconds=conf.keep_wakes_seconds)) == WAKES_AT_ONCE

    def let_go(self) -> None:
        """Leave the chore to others at once, if this worker has it."""
        if self._holds_until is None:
            return
        Chore.objects.filter(name=NAME, holder=self._name).update(holder="", held_until=None)
        self._holds_until = None

    def _hold(self, now: datetime) -> bool:
        """Take the chore, or go on holding it."""
        if self._holds_until is not None and self._holds_until - now > timedelta(seconds=HOLD_SECONDS / 2):
            return True
        until = now + timedelta(seconds=HOLD_SECONDS)
        free = Q(holder=self._name) | Q(held_until=None) | Q(held_until__lte=now)
        Chore.objects.get_or_create(name=NAME)
        held = Chore.objects.filter(free, name=NAME).update(holder=self._name, held_until=until)
        if (held and self._holds_until is None) or not held:
            self._targets.clear()  # somebody else may have done it meanwhile
            self._held.clear()
            self._reached = None
        self._holds_until = until if held else None
        if held:
            database.forget_statistics([model._meta.db_table for model in _MODELS])
        return bool(held)

    def _take(self, before: datetime) -> bool:
        """The next settled wakes, and the streams that they wrote to."""
        last, place = self._done_to()
        settled = Wake.objects.filter(state=Wake.State.DONE, settled_at__lte=before)
        if last is not None:
            settled = settled.filter(settled_at__gte=last).exclude(settled_at=last, id__lte=place)
        columns = ("settled_at", "id", "entity_id", "entity__stream_id", "entity__presence_id")
        found = list(settled.order_by("settled_at", "id").values_list(*columns)[:WAKES_AT_ONCE])
        logs = {stream: _Target(stream, RETENTION, entity) for _, _, entity, stream, _ in found}
        lists = {stream: _Target(stream, presence.RETENTION) for *_, stream in found}
        self._targets.extend((logs | lists).values())
        self._reached = found[-1][:2] if found else None
        return bool(found)

    def _sweep(self, target: _Target, before: datetime) -> None:
        until = still_needed(target.entity) if target.entity is not None else None
        done = retention.sweep(target.stream, target.rules, before, until)
        if not done.more:
            self._targets.popleft()
        if done.held:
            self._held.append(target)

    def _done_to(self) -> tuple[datetime | None, int]:
        return Chore.objects.filter(name=NAME).values_list("settled_at", "place").get()

    def _save(self, reached: tuple[datetime, int]) -> None:
        mine = Chore.objects.filter(name=NAME, holder=self._name)
        mine.update(settled_at=reached[0], place=reached[1])

    def _delete_wakes(self, before: datetime) -> int:
        """Delete settled wakes of an age whose logs were seen to. Nobody changes them any more."""
        last, _ = self._done_to()
        if last is None:
            return 0
        with transaction.atomic(using=database.alias()):
            free = Wake.objects.select_for_update(skip_locked=True)  # who deletes their agent goes first
            old = free.filter(state=Wake.State.DONE, settled_at__lte=min(before, last))
            found = list(old.order_by("settled_at", "id").values_list("pk", flat=True)[:WAKES_AT_ONCE])
            if found:
                Wake.objects.filter(pk__in=found)._raw_delete(database.alias())  # nothing refers to a wake
        return len(found)


def still_needed(entity: int) -> int | None:
    """From which offset on a wake that is not over may read the log; None if there is none.

    Parked ones too: what is retried goes on where it was. A wake that comes later begins with a message that
    is newer than whatever is pruned.
    """
    open_ = Wake.objects.filter(entity=entity, from_offset__gt=0).exclude(state=Wake.State.DONE)
    found: int | None = open_.aggregate(first=Min("from_offset"))["first"]
    return found
