"""Opening an agent's page with a short and with a very long log: it must cost the same."""

import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.stage import DATABASES, stage
from tests.benchmarks.table import Table, percentile

EVENTS = (100, 100_000)
REQUESTS = 40


def run() -> Iterator[Table]:
    """Each database and length: p50 and p99 of the whole page, through Django."""
    table = Table(
        "Opening an agent's page",
        ("database", "events", "p50 ms", "p99 ms", "queries", "against 100 events"),
        notes=(
            "Rendered by Django's test client in one process: views, templates, middlewares, no network.",
        ),
    )
    for database in DATABASES:
        with stage(database, DEBUG="0") as place:
            first = 0.0
            for events in EVENTS:
                waits, queries = place.measure(f"{__name__}:open_page", events=events)
                middle = percentile(waits, 0.5) * 1000
                first = first or middle
                table.add(
                    database,
                    events,
                    middle,
                    percentile(waits, 0.99) * 1000,
                    queries,
                    f"{middle / first:.2f} times",
                )
    yield table


def open_page(events: int) -> tuple[list[float], int]:
    """Seconds for each of some requests, and how many queries one makes."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from entities.api import NewEntity, spawn_now
    from shared_state.api import Principal

    settings.ALLOWED_HOSTS = ["testserver"]
    user, _ = get_user_model().objects.get_or_create(username="ada")
    entity = spawn_now(Principal("user", "ada"), NewEntity("assistant", f"log-{events}", message="Hello"))
    _fill(entity.stream_id, events)
    client = Client()
    client.force_login(user)

    def get() -> float:
        begin = time.perf_counter()
        response = client.get(f"{entity.url}/")
        if response.status_code != 200:
            raise RuntimeError(f"{entity.url} answered {response.status_code}")
        return time.perf_counter() - begin

    for _ in range(5):
        get()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        get()
    return [get() for _ in range(REQUESTS)], len(queries)


def _fill(stream: int, events: int) -> None:
    """Runs as an agent leaves them: text deltas, then the whole, and the run."""
    from entities import log
    from shared_state.api import NewEvent, Origin, unit

    now = "2026-11-20T12:00:00.000+00:00"
    run_events = 25
    for first in range(0, events // run_events, 40):
        batch: list[NewEvent] = []
        for number in range(first, min(first + 40, events // run_events)):
            batch += _run(log, f"9.{number}", now)
        unit(lambda u, batch=batch: u.append(stream, batch), origin=Origin("agent:/assistant/x"))  # type: ignore[misc]


def _run(log: Any, key: str, now: str) -> list[Any]:
    run = {"status": "started", "wake": "w9", "provider": "offline", "started_at": now}
    text = {"run_id": key, "status": "streaming", "started_at": now}
    whole = text | {"status": "completed", "content": "Some words that an agent said. " * 8, "ended_at": now}
    deltas = [
        log.new(
            "text_delta",
            f"{key}-s1-b0-d{n}",
            {"text_id": f"{key}-s1-b0", "run_id": key, "delta": "Some words "},
        )
        for n in range(21)
    ]
    return [
        log.new("run", key, run),
        log.new("text", f"{key}-s1-b0", text),
        *deltas,
        log.new("text", f"{key}-s1-b0", whole, "update"),
        log.new(
            "run", key, run | {"status": "completed", "finish_reason": "end_turn", "ended_at": now}, "update"
        ),
    ]
