"""Opening an agent's page with a short and with a very long log: it must cost the same."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.benchmarks.database import DATABASES, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.table import Table, percentile

EVENTS = less((100, 1_000, 100_000), (100, 1_000, 10_000))
FULL = 1_000  # events that fill the window: from there on every page shows as much
REQUESTS = less(40, 15)


def run() -> Iterator[Table]:
    """Each database and length: p50 and p99 of the whole page, through Django."""
    table = Table(
        "Opening an agent's page",
        ("database", "events", "runs shown", "p50 ms", "p99 ms", "queries", f"against {FULL:,}"),
        notes=(
            "Rendered by Django's test client in one process: views, templates, middlewares, no network.",
            f"The window is full from {FULL:,} events on; before that, the page is shorter.",
        ),
    )
    for database in DATABASES:
        with bench_database(database, DEBUG="0") as place:
            found = {events: place.measure(f"{__name__}:open_page", events=events) for events in EVENTS}
            full = percentile(found[FULL][0], 0.5)
            for events, (waits, queries, runs) in found.items():
                middle, worst = percentile(waits, 0.5), percentile(waits, 0.99)
                times = f"{middle / full:.2f} times"
                table.add(database, events, runs, middle * 1000, worst * 1000, queries, times)
    yield table


def open_page(events: int) -> tuple[list[float], int, int]:
    """Seconds for each of some requests, how many queries one makes, and how many runs it shows."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    from entities.api import NewEntity, spawn_now
    from shared_state.api import Principal

    settings.ALLOWED_HOSTS = ["testserver"]
    user, _ = get_user_model().objects.get_or_create(username="ada")
    entity = spawn_now(Principal("user", "ada"), NewEntity("assistant", f"log-{events}", message="Hello"))
    _fill(entity.stream_id, events)
    client = Client()
    client.force_login(user)

    def get() -> bytes:
        response = client.get(f"{entity.url}/")
        if response.status_code != 200:
            raise RuntimeError(f"{entity.url} answered {response.status_code}")
        return bytes(response.content)

    for _ in range(5):
        get()
    waits = []
    for _ in range(REQUESTS):
        begin = time.perf_counter()
        get()
        waits.append(time.perf_counter() - begin)
    return waits, _queries(get), get().count(b"run-foot")


def _queries(get: Callable[[], object]) -> int:
    """How many statements a request makes, in whatever thread."""
    from django.test import override_settings

    said: list[logging.LogRecord] = []
    logger = logging.getLogger("django.db.backends")
    logger.addFilter(lambda record: not said.append(record))  # type: ignore[func-returns-value]
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    with override_settings(DEBUG=True):
        get()
    return len(said)


def _fill(stream: int, events: int) -> None:
    """Runs as an agent leaves them: text deltas, then the whole, and the run."""
    from entities.catalog import log
    from shared_state.api import NewEvent, Provenance, unit

    now = "2026-11-20T12:00:00.000+00:00"
    run_events = 25
    for first in range(0, events // run_events, 40):
        batch: list[NewEvent] = []
        for number in range(first, min(first + 40, events // run_events)):
            batch += _run(log, f"9.{number}", now)
        unit(lambda u, batch=batch: u.append(stream, batch), provenance=Provenance("agent:/assistant/x"))  # type: ignore[misc]


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
