"""What is kept of a conversation is what reading it anew would give, whatever happened in between."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entities.agent import history
from entities.agent.history import Histories
from shared_state.api import NewEvent, Row, window
from shared_state.log import archive
from shared_state.models import Stream
from tests.conformance.writing import append, make_stream

TYPES = ("inbox", "text")
LIMIT = 8
pytestmark = pytest.mark.django_db(transaction=True)
Change = tuple[str, str, int]
CHANGES = st.lists(
    st.tuples(st.sampled_from(["upsert", "delete", "other"]), st.sampled_from(TYPES), st.integers(0, 14)),
    min_size=1,
    max_size=12,
)


@pytest.fixture
def histories() -> Iterator[Histories]:
    made = Histories()
    yield made
    made.forget()


def cold(stream: int) -> list[Row]:
    return window(stream, limit=LIMIT, types=TYPES)


def write(stream: object, changes: Sequence[Change]) -> None:
    there = {(row.type, row.key) for row in window(stream.id, limit=1_000)}  # type: ignore[attr-defined]
    for operation, type, number in changes:
        key = f"k{number}"
        if operation == "other":
            append(stream, NewEvent("step", key, {"n": number}, "upsert"))  # type: ignore[arg-type]
        elif operation == "upsert":
            append(stream, NewEvent(type, key, {"n": len(there)}, "upsert"))  # type: ignore[arg-type]
            there.add((type, key))
        elif (type, key) in there:
            append(stream, NewEvent(type, key, None, "delete"))  # type: ignore[arg-type]
            there.discard((type, key))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_what_is_kept_is_what_reading_anew_gives(histories: Histories, rounds: list[list[Change]]) -> None:
    stream = make_stream()
    for changes in rounds:
        write(stream, changes)
        assert histories.newest(stream.id, TYPES, LIMIT) == cold(stream.id)


def test_a_turn_reads_what_is_new(histories: Histories) -> None:
    stream = make_stream()
    append(stream, *(NewEvent("text", f"k{number}", {"n": number}) for number in range(300)))
    histories.newest(stream.id, TYPES, 200)
    append(stream, NewEvent("text", "k299", {"n": -1}, "update"), NewEvent("text", "new", {"n": 1}))

    with CaptureQueriesContext(connection) as asked:
        found = histories.newest(stream.id, TYPES, 200)

    assert (len(asked), len(found)) == (3, 200)
    assert [row.value["n"] for row in found[-2:]] == [-1, 1]
    assert "'k298'" not in asked[-1]["sql"]


def test_a_short_log_is_read_by_two_statements(histories: Histories) -> None:
    stream = make_stream()
    append(stream, *(NewEvent("text", f"k{number}", {"n": number}) for number in range(9)))

    with CaptureQueriesContext(connection) as asked:
        found = histories.newest(stream.id, TYPES, 200)

    assert (len(asked), len(found)) == (2, 9)


def test_a_stream_that_was_made_anew_is_another(histories: Histories) -> None:
    stream = make_stream()
    append(stream, NewEvent("text", "old", {}))
    histories.newest(stream.id, TYPES, LIMIT)
    record = Stream.objects.get(pk=stream.id)
    Stream.objects.filter(pk=stream.id).update(created_at=record.created_at + timedelta(seconds=1))

    with CaptureQueriesContext(connection) as asked:
        histories.newest(stream.id, TYPES, LIMIT)

    assert any("ORDER BY" in query["sql"] for query in asked)


def test_a_past_that_was_archived_tells_nothing(histories: Histories, tmp_path: Path) -> None:
    stream = make_stream()
    write(stream, [("upsert", "inbox", 1), ("upsert", "inbox", 2)])
    histories.newest(stream.id, TYPES, LIMIT)
    write(stream, [("upsert", "inbox", 1), ("upsert", "inbox", 2), ("other", "inbox", 0)])
    archive.export(stream.id, 5, tmp_path / "past.jsonl")
    archive.drop(stream.id, 5)

    assert histories.newest(stream.id, TYPES, LIMIT) == cold(stream.id)


def test_what_is_kept_is_bounded(histories: Histories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_ROWS", 10)
    streams = [make_stream() for _ in range(4)]
    for stream in streams:
        append(stream, *(NewEvent("text", f"k{number}", {}) for number in range(4)))
        histories.newest(stream.id, TYPES, LIMIT)

    assert list(histories._kept) == [stream.id for stream in streams[-2:]]
    assert histories._count == 8


def test_more_changes_than_worth_are_read_anew(histories: Histories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_CHANGES", 3)
    stream = make_stream()
    histories.newest(stream.id, TYPES, LIMIT)
    append(stream, *(NewEvent("text", f"k{number}", {}) for number in range(20)))

    assert histories.newest(stream.id, TYPES, LIMIT) == cold(stream.id)
