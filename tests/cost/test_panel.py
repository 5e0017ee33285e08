"""What is pushed beside a board costs the same for ten events and for five hundred."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from entities.api import NewEntity, registry, spawn_now
from entities.web.panel import render_panel
from shared_state.api import Event, Principal, Provenance, get_stream

pytestmark = pytest.mark.django_db(transaction=True)


def event(stream: int, number: int, type: str, value: dict[str, Any]) -> Event:
    from datetime import UTC, datetime

    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Event(stream, number, type, "current", "upsert", value, now, Provenance("user:ada"), None)


@pytest.mark.parametrize("type", ["state:status", "manifest"])
def test_a_batch_of_events_asks_once(type: str) -> None:
    registry.store()
    url = spawn_now(Principal("user", "ada"), NewEntity("debate", "host", {"topic": "Is it so?"})).url
    stream = get_stream(url)
    value = (
        {"kind": "shared-state", "id": "debate-/debate/host"} if type == "manifest" else {"phase": "opening"}
    )

    def queries(events: int) -> int:
        with CaptureQueriesContext(connection) as asked:
            render_panel(stream, [event(stream.id, number, type, value) for number in range(1, events + 1)])
        return len(asked)

    queries(1)
    assert queries(10) == queries(500) <= 2
