"""What pages cost: as many queries for five hundred as for ten, none of which walks through a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from entities.models import Entity
from entities.types.registry import registry
from shared_state.models import EventRecord, RowRecord, Stream
from tests.cost.test_lists import people
from tests.shared_state.html.test_tables import SCHEMA
from tests.support.plans import records_seen, sent_statements

pytestmark = pytest.mark.django_db

FEW, MANY = 10, 500
OTHERS = 20_000
"""How many rows and events of somebody else's there are."""
PAGES = {
    "list": "/agents/",
    "search": "/agents/?q=found",
    "family": "/debate/host/family/",
    "timeline": "/debate/host/",
    "state": "/debate/host/state/",
    "events": "/debate/host/events/",
    "board": "/debate/host/board/0/",
    "shared states": "/shared/",
    "shared tables": "/shared/debate-/debate/host/",
    "shared board": "/shared/debate-/debate/host/?view=board",
}
CUT = {"list": 1, "family": 1, "timeline": 14, "state": 2, "events": 2, "board": 3}
"""How many queries more a page may ask, however many there are, once it does not show all."""


WHOLE = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
"""Ways of PostgreSQL's that read a whole table."""


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    """A browser of Ada's; she has a host and its shared state."""
    registry.store()
    client.force_login(ada)
    (host,) = people("user:ada", 1)
    Entity.objects.filter(pk=host.pk).update(type="debate", slug="host", url="/debate/host")
    Stream.objects.filter(pk=host.stream_id).update(path="/debate/host")
    shared = "shared:debate-/debate/host"
    Stream.objects.create(
        path=shared, kind="shared", owner="user:ada", root=host.stream, schema=SCHEMA.to_json()
    )
    return client


def host() -> Entity:
    return Entity.objects.get(url="/debate/host")


def fill(stream: Stream, type: str, count: int, value: dict[str, Any]) -> None:
    """Rows and the events that made them, written past the verbs."""
    now, first = timezone.now(), stream.head + 1
    places = range(first, first + count)
    common = {"stream": stream, "type": type, "writer": "user:ada"}
    EventRecord.objects.bulk_create(
        EventRecord(offset=n, key=f"k{n}", operation="insert", timestamp=now, value=value, **common)
        for n in places
    )
    RowRecord.objects.bulk_create(
        RowRecord(
            key=f"k{n}", created=n, version=n, created_at=now, updated_at=now,
            value={**value, "key": f"k{n}"}, **common,
        )
        for n in places
    )  # fmt: skip
    stream.head += count
    stream.save()


def grow(count: int) -> None:
    """So many more of everything that a page shows."""
    card = {"side": "pro", "text": "Because.", "round": 1}
    message = {"from": "user:ada", "payload": "Hello", "type": "message"}
    people("user:ada", count, host().stream)
    shared = Stream.objects.get(path="shared:debate-/debate/host")
    fill(shared, "shared:arguments", count, card)
    fill(shared, "shared:loose", count, card)
    fill(host().stream, "inbox", count, message)
    fill(host().stream, "state:progress", count, {"turn": 1})


def queries(page: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert page.get(address).status_code == 200
    return len(asked)


def test_a_page_asks_as_much_for_many_as_for_few(page: Client) -> None:
    grow(FEW)
    few = {name: queries(page, address) for name, address in PAGES.items()}
    grow(MANY)
    many = {name: queries(page, address) for name, address in PAGES.items()}
    grow(MANY)
    more = {name: queries(page, address) for name, address in PAGES.items()}

    assert many == more
    assert {name: asked for name, asked in many.items() if asked > few[name] + CUT.get(name, 0)} == {}


@pytest.fixture
def crowded(page: Client) -> Iterator[Client]:
    """A site where others have much more, and a database that knows so; it forgets it afterwards.

    PostgreSQL reads a table of this size rather than to look five hundred records up; so that is ruled out.
    """
    grow(MANY)
    tops, below = people("user:else", 1_000), [each.stream for each in people("user:else", OTHERS)]
    for number, stream in enumerate(below):
        stream.root = tops[number % len(tops)].stream
    Stream.objects.bulk_update(below, ["root"], batch_size=1_000)
    beside = Stream.objects.create(path="shared:else", kind="shared", owner="user:else")
    fill(beside, "shared:arguments", OTHERS, {"side": "pro"})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":
            for way in WHOLE:
                cursor.execute(f"SET {way} = off")
        yield page
        if connection.vendor == "postgresql":
            for way in WHOLE:
                cursor.execute(f"RESET {way}")
        else:  # the plans of later tests would be made for tables of this size
            cursor.execute("DELETE FROM sqlite_stat1")
            cursor.execute("ANALYZE sqlite_schema")


def test_no_page_walks_through_a_table(crowded: Client) -> None:
    walked: dict[str, int] = {}

    for name, address in PAGES.items():
        with sent_statements() as sent:
            assert crowded.get(address).status_code == 200
        asked = [statement for statement in sent if statement.startswith(("SELECT", "WITH"))]
        assert asked, name
        walked |= {f"{name}: {statement}": records_seen(statement, OTHERS) for statement in asked}

    assert {statement: seen for statement, seen in walked.items() if seen > 5 * MANY} == {}
