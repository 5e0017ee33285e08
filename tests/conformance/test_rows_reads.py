"""Reading: what is answered, and that no read walks through the log to find it."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from shared_state import api
from shared_state.core.types import NewEvent, StreamInfo
from shared_state.exceptions import StreamNotFound
from shared_state.models import EventRecord, RowRecord
from shared_state.write import sql
from tests.conformance.writing import append, everything, make_stream, plainly
from tests.support.plans import records_seen, sent_statements

TYPES = ("inbox", "run", "step", "text", "rare", "never")
MANY = 10_000


@pytest.fixture
def mixed() -> StreamInfo:
    """A log of many types, with rows that came, changed and went; another one beside it."""
    stream, beside = make_stream(), make_stream()
    dice = random.Random(7)
    alive: list[tuple[str, str]] = []
    for batch in range(12):
        events = []
        for number in range(25):
            kind = dice.choices(TYPES, (9, 3, 9, 9, 1 if batch < 2 else 0, 0))[0]
            if alive and dice.random() < 0.3:
                type, key = alive[dice.randrange(len(alive))]
                gone = dice.random() < 0.2
                if gone:
                    alive.remove((type, key))
                events.append(
                    NewEvent(type, key, None if gone else {"n": -number}, "delete" if gone else "update")
                )
            else:
                alive.append((kind, f"{batch}-{number}"))
                events.append(NewEvent(kind, f"{batch}-{number}", {"n": number}))
        append(stream, *events)
        append(beside, *events[:0], NewEvent("text", f"beside-{batch}", {}))
    return stream


@pytest.mark.parametrize("types", [None, ("text",), ("rare", "never"), ("inbox", "run"), TYPES, ()])
@pytest.mark.parametrize("limit", [1, 10, 1000])
def test_a_part_of_the_log_is_what_it_would_be_if_all_were_read(
    mixed: StreamInfo, types: tuple[str, ...] | None, limit: int
) -> None:
    log = [event for event in everything(mixed) if types is None or event.type in types]
    rows = {
        (type, key): row
        for type in TYPES
        for key, row in ((row.key, row) for row in api.rows(mixed.id, type))
        if types is None or type in types
    }
    by_created = sorted(rows.values(), key=lambda row: row.created)

    for place in (0, 1, 40, 150, 300, 10**6, 10**30):
        assert api.read(mixed.id, place, limit, types) == [e for e in log if e.offset > place][:limit]
        assert (
            api.read_newest(mixed.id, place, limit, types)
            == [e for e in log if e.offset < place][::-1][:limit]
        )
        assert (
            api.window(mixed.id, place, limit, types) == [r for r in by_created if r.created < place][-limit:]
        )
    assert api.read_newest(mixed.id, None, limit, types) == log[::-1][:limit]
    assert api.window(mixed.id, None, limit, types) == by_created[-limit:]


def test_rows_come_in_order_of_creation_and_are_counted(mixed: StreamInfo) -> None:
    for type in TYPES:
        found = api.rows(mixed.id, type)
        assert [row.created for row in found] == sorted(row.created for row in found)
        assert api.count_rows(mixed.id).get(type, 0) == len(found)
        assert all(api.row(mixed.id, type, row.key) == row for row in found[:5])
    assert api.row(mixed.id, "text", "unknown") is None


def test_rows_are_counted_up_to_a_bound(mixed: StreamInfo) -> None:
    beside, empty = make_stream(), make_stream()
    plainly(beside, NewEvent("note", "a", {}), NewEvent("Note", "a", {}), NewEvent("ä", "a", {}))
    exact, most = api.count_rows(mixed.id), 20

    assert max(exact.values()) > most > min(exact.values())
    assert api.count_rows(mixed.id, most) == {type: min(n, most + 1) for type, n in exact.items()}
    assert api.count_rows_of([mixed.id, beside.id, empty.id]) == {
        mixed.id: exact, beside.id: {"note": 1, "Note": 1, "ä": 1},
    }  # fmt: skip
    assert (api.count_rows(empty.id), api.count_rows_of([])) == ({}, {})


def test_rows_are_the_fold_of_the_log(mixed: StreamInfo) -> None:
    folded: dict[tuple[str, str], Any] = {}
    for event in everything(mixed):
        if event.operation == "delete":
            del folded[event.type, event.key]
        else:
            folded[event.type, event.key] = event.value

    assert {(row.type, row.key): row.value for type in TYPES for row in api.rows(mixed.id, type)} == folded


def test_streams_are_found_by_path_and_by_id() -> None:
    stream = make_stream("/room/known")

    assert api.get_stream("/room/known") == api.get_stream_by_id(stream.id) == stream
    with pytest.raises(StreamNotFound, match="'/room/unknown'"):
        api.get_stream("/room/unknown")
    with pytest.raises(StreamNotFound, match="no stream 999999"):
        api.get_stream_by_id(999999)


def test_heads_of_many_streams_come_at_once() -> None:
    streams = [make_stream() for _ in range(3)]
    plainly(streams[1], NewEvent("note", "a", {}))

    assert api.heads([stream.id for stream in streams]) == {
        streams[0].id: 0, streams[1].id: 1, streams[2].id: 0,
    }  # fmt: skip


@pytest.fixture
def large() -> Iterator[StreamInfo]:
    """A long log beside another one, and a database that knows its size; it forgets it afterwards."""
    streams = [make_stream(), make_stream()]
    now = timezone.now()
    common = {"value": {"text": "x" * 50}, "writer": "user:ada"}
    times = {"created_at": now, "updated_at": now}
    places = [(n, "rare" if n <= 3 else TYPES[n % 4]) for n in range(1, MANY + 1)]
    for stream in streams:
        EventRecord.objects.bulk_create(
            EventRecord(
                stream_id=stream.id, offset=n, type=type, key=f"k{n}", operation="insert", timestamp=now,
                client_key=f"c{n}" if n % 5 == 0 else None, **common,
            )
            for n, type in places
        )  # fmt: skip
        RowRecord.objects.bulk_create(
            RowRecord(stream_id=stream.id, type=type, key=f"k{n}", created=n, version=n, **times, **common)
            for n, type in places
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        yield streams[0]
        if connection.vendor == "sqlite":  # the plans of later tests would be made for tables of this size
            cursor.execute("DELETE FROM sqlite_stat1")
            cursor.execute("ANALYZE sqlite_schema")


READS: dict[str, Callable[[int], object]] = {
    "read": lambda stream: api.read(stream, MANY // 2, 100),
    "read the first": lambda stream: api.read(stream, 0, 100),
    "read one type": lambda stream: api.read(stream, MANY // 2, 100, ["text"]),
    "read a rare type": lambda stream: api.read(stream, 0, 100, ["rare"]),
    "read types": lambda stream: api.read(stream, 100, 100, ["text", "run"]),
    "read newest": lambda stream: api.read_newest(stream, None, 100),
    "read newest before": lambda stream: api.read_newest(stream, MANY // 2, 100),
    "read newest of a rare type": lambda stream: api.read_newest(stream, None, 100, ["rare"]),
    "read newest of rare types": lambda stream: api.read_newest(stream, None, 100, ["rare", "never"]),
    "window": lambda stream: api.window(stream, None, 100),
    "window before": lambda stream: api.window(stream, MANY // 2, 100, TYPES),
    "window of rare types": lambda stream: api.window(stream, None, 100, ["rare", "never"]),
    "window of a rare type": lambda stream: api.window(stream, None, 100, ["rare"]),
    "rows": lambda stream: api.rows(stream, "rare"),
    "row": lambda stream: api.row(stream, "text", "k3"),
    "count rows": lambda stream: api.count_rows(stream, 50),
    "heads": lambda stream: api.heads([stream]),
    "path": lambda stream: api.get_stream(api.get_stream_by_id(stream).path),
    "lock": lambda stream: sql.dialect().streams([stream]),
    "look rows up": lambda stream: sql.dialect().rows([(stream, "text", f"k{n}") for n in range(0, 640, 10)]),
    "look keys up": lambda stream: sql.dialect().repeated([(stream, f"c{n}") for n in range(64)]),
}


def test_no_read_walks_through_a_table(large: StreamInfo) -> None:
    walked: dict[str, int] = {}

    for name, read in READS.items():
        with sent_statements() as sent:
            read(large.id)
        selects = [statement for statement in sent if statement.startswith(("SELECT", "WITH"))]
        assert selects, name
        walked |= {f"{name}: {statement}": records_seen(statement, MANY) for statement in selects}

    assert {statement: seen for statement, seen in walked.items() if seen > 500} == {}


def test_a_row_is_found_by_its_key_also_in_a_stream_that_has_just_grown() -> None:
    """PostgreSQL then believes that a type has one row, and would as soon look at all rows of the type."""
    stream = make_stream()
    now = timezone.now()
    RowRecord.objects.bulk_create(
        RowRecord(
            stream_id=stream.id, type="note", key=f"k{n}", created=n, version=n, created_at=now,
            updated_at=now, value={"text": "x" * 50}, writer="user:ada",
        )
        for n in range(1, MANY + 1)
    )  # fmt: skip
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'shared_state_rowrecord'::regclass")

    with sent_statements() as sent:
        found = sql.dialect().rows([(stream.id, "note", f"k{n}") for n in (1, MANY // 2, MANY)])
        assert api.row(stream.id, "note", "k7") is not None

    assert len(found) == 3
    assert max(records_seen(statement, MANY) for statement in sent if statement.startswith("SELECT")) <= 6
