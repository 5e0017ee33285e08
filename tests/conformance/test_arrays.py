"""What goes to PostgreSQL as an array, and the times that come back, is what was given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection, transaction

from shared_state.write.statements import array, moment, postgres_fetch, postgres_run

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite is given JSON"),
]

AT = datetime(2026, 11, 28, 23, 59, 59, 999_999, UTC)
EAST = timezone(timedelta(hours=5, minutes=30))
TEXTS = (
    "plain",
    "",
    " ",
    "NULL",
    "null",
    "{a,b}",
    'say "hi"',
    "back\\slash",
    '\\"',
    "new\nline",
    "é ☃ 𝄞",
    "'",
)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ["plain", "words only"]),
        ("text", list(TEXTS)),
        ("text", [None, *TEXTS]),
        ("text", [None, None]),
        ("text", []),
        ("bigint", [1, -1, 2**63 - 1, 0]),
        ("bigint", [1, None]),
        ("boolean", [True, False]),
        ("timestamptz", [AT, AT - timedelta(days=9999), AT.astimezone(EAST)]),
    ],
)
def test_an_array_holds_what_was_given(kind: str, values: list[Any]) -> None:
    ((found,),) = postgres_fetch(f"SELECT %s::{kind}[]", [array(values)])

    assert found == values


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"])
def test_a_time_is_the_same_in_whatever_zone_the_server_says_it(zone: str) -> None:
    with transaction.atomic():
        postgres_run("SELECT set_config('TimeZone', %s, true)", [zone])
        ((found,),) = postgres_fetch("SELECT %s::timestamptz", [AT.isoformat()])

    assert moment(found) == AT
    assert moment(found).utcoffset() is not None
