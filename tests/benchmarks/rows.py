"""Agents as rows alone, for benchmarks that need very many of them: made in bulk, without a log."""

from collections.abc import Sequence
from typing import Any

AT_ONCE = 5_000


def make_agents(owner: str, count: int, type_name: str = "assistant", prefix: str = "a") -> Sequence[Any]:
    """So many idle agents of one owner (a principal's text), `/<type>/<prefix><number>`. Returns the rows."""
    from django.utils import timezone

    from entities.models import Entity
    from shared_state.models import Stream

    now, made = timezone.now(), list[Entity]()
    presence, _ = Stream.objects.get_or_create(path=f"presence:{owner}", kind="presence", owner=owner)
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        streams = Stream.objects.bulk_create(
            Stream(path=f"/{type_name}/{prefix}{n}", kind="entity", owner=owner) for n in numbers
        )
        made += Entity.objects.bulk_create(
            Entity(
                type=type_name, slug=f"{prefix}{n}", url=stream.path, stream=stream, presence=presence,
                state="idle", owner=owner, created_by=owner, title=f"Title {n}", created_at=now,
                last_activity_at=now,
            )
            for n, stream in zip(numbers, streams, strict=True)
        )  # fmt: skip
    return made


def analyze() -> None:
    """Let PostgreSQL count its rows, as it does by itself after a while. SQLite is never asked to."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
