"""What events fold into: one row for each type and key, in the same transaction."""

from typing import Any

import pytest

from shared_state import api
from shared_state.core.types import NewEvent, Provenance, Row
from shared_state.exceptions import RowExists, RowNotFound, VersionConflict
from shared_state.models import EventRecord
from shared_state.write.unit import Unit
from tests.conformance.writing import append, do, everything, make_stream, note, plainly

WAYS = pytest.mark.parametrize("way", [plainly, append])


def row_of(stream: api.StreamInfo, key: str = "a") -> Row:
    found = api.row(stream.id, "note", key)
    assert found is not None
    return found


@WAYS
def test_an_insert_makes_a_row(way: Any) -> None:
    stream = make_stream()

    (event,) = way(stream, note("a", n=1))

    row = row_of(stream)
    assert (row.value, row.created, row.version) == ({"n": 1}, event.offset, event.offset)
    assert (row.stream, row.type, row.key) == (stream.id, "note", "a")


@WAYS
def test_an_update_replaces_the_value_and_keeps_its_creation(way: Any) -> None:
    stream = make_stream()
    (inserted,) = way(stream, note("a", n=1, gone=True), provenance=Provenance("user:ada", "1"))

    (event,) = way(stream, note("a", "update", n=2), provenance=Provenance("user:ben", "2", "2.0", "c"))

    row = row_of(stream)
    assert row.value == event.value == {"n": 2}
    assert (row.created, row.version) == (1, 2)
    assert (row.created_at, row.updated_at) == (inserted.timestamp, event.timestamp)
    assert row.provenance == Provenance("user:ben", "2", "2.0", "c")


@WAYS
def test_the_old_value_is_kept_where_it_is_wanted(way: Any) -> None:
    stream = make_stream()
    way(stream, note("a", n=1, keep_old=True))

    way(stream, note("a", "update", n=2))
    way(stream, note("a", "update", n=3, keep_old=True))
    way(stream, note("a", "upsert", n=4, keep_old=True))

    assert [event.old for event in everything(stream)] == [None, None, {"n": 2}, {"n": 3}]


def test_an_old_value_that_is_absent_is_null_in_the_database_too() -> None:
    stream = make_stream()
    plainly(stream, note("a"), note("a", "update", keep_old=True))

    absent = EventRecord.objects.filter(stream=stream.id, old__isnull=True)

    assert [event.offset for event in absent] == [1]


@WAYS
def test_an_upsert_is_an_insert_or_an_update(way: Any) -> None:
    stream = make_stream()

    way(stream, note("a", "upsert", n=1))
    way(stream, note("a", "upsert", n=2))

    assert [event.operation for event in everything(stream)] == ["insert", "update"]
    assert row_of(stream).value == {"n": 2}


@WAYS
def test_a_delete_removes_the_row_and_the_log_says_what_it_was(way: Any) -> None:
    stream = make_stream()
    way(stream, note("a", n=1))

    (event,) = way(stream, note("a", "delete", value=None))

    assert api.row(stream.id, "note", "a") is None
    assert event.value == everything(stream)[-1].value == {"n": 1}


@WAYS
def test_a_row_can_be_inserted_again(way: Any) -> None:
    stream = make_stream()

    way(stream, note("a", n=1), note("a", "delete", value=None), note("a", n=2))

    row = row_of(stream)
    assert (row.value, row.created, row.version) == ({"n": 2}, 3, 3)


@WAYS
@pytest.mark.parametrize(
    ("operation", "error", "reason"),
    [
        ("insert", RowExists, "There is a note with key 'there' already"),
        ("update", RowNotFound, "There is no note with key 'absent' to update"),
        ("delete", RowNotFound, "There is no note with key 'absent' to delete"),
    ],
)
def test_an_operation_that_does_not_fit_the_row_is_refused(
    way: Any, operation: str, error: type[Exception], reason: str
) -> None:
    stream = make_stream()
    way(stream, note("there"))
    key = "there" if operation == "insert" else "absent"

    with pytest.raises(error, match=reason):
        way(stream, NewEvent("note", key, {}, operation))  # type: ignore[arg-type]

    assert len(everything(stream)) == 1


@WAYS
def test_a_version_that_is_expected_must_be_there(way: Any) -> None:
    stream = make_stream()
    way(stream, note("a", n=1), note("a", "update", n=2))

    way(stream, note("a", "update", n=3, expect_version=2))
    with pytest.raises(VersionConflict, match="is at version 3, not 2") as refused:
        way(stream, note("a", "update", n=4, expect_version=2))

    assert refused.value.current == {"n": 3}
    assert refused.value.version == 3
    assert row_of(stream).value == {"n": 3}


@WAYS
def test_version_zero_expects_that_there_is_no_row(way: Any) -> None:
    stream = make_stream()

    way(stream, note("a", "upsert", n=1, expect_version=0))
    with pytest.raises(VersionConflict):
        way(stream, note("a", "upsert", n=2, expect_version=0))
    with pytest.raises(VersionConflict) as refused:
        way(stream, note("absent", "delete", value=None, expect_version=7))

    assert refused.value.current is None
    assert refused.value.version == 0


def test_rows_of_different_types_and_streams_do_not_meet() -> None:
    one, two = make_stream(), make_stream()

    plainly(one, note("a", n=1), NewEvent("text", "a", {"n": 2}))
    plainly(two, note("a", n=3))

    assert row_of(one).value == {"n": 1}
    assert row_of(two).value == {"n": 3}
    assert api.row(one.id, "text", "a").value == {"n": 2}  # type: ignore[union-attr]


def test_a_unit_reads_what_it_wrote() -> None:
    stream = make_stream()
    plainly(stream, note("old"), note("gone"))

    def look(unit: Unit) -> tuple[Any, ...]:
        unit.append(stream.id, [note("new", n=1), note("gone", "delete", value=None)])
        unit.append(stream.id, [note("old", "update", n=2)])
        keys = [row.key for row in unit.rows(stream.id, "note")]
        return (
            keys,
            unit.row(stream.id, "note", "gone"),
            unit.row(stream.id, "note", "old"),
            unit.stream(stream.id),
        )

    keys, gone, old, info = do(look)

    assert keys == ["old", "new"]
    assert gone is None
    assert (old.value, old.version) == ({"n": 2}, 5)
    assert info.head == 5


def test_changing_what_a_unit_read_changes_nothing() -> None:
    stream = make_stream()
    plainly(stream, note("a", tags=["one"]))

    def meddle(unit: Unit) -> Any:
        found = unit.row(stream.id, "note", "a")
        assert found is not None
        found.value["tags"].append("two")
        return unit.row(stream.id, "note", "a")

    assert do(meddle).value == {"tags": ["one"]}


def test_keys_may_hold_anything_that_is_text() -> None:
    stream = make_stream()
    keys = ["1", "01", "a b", "é🌍", "'; --", '"', "\\", "%", "[1]", "null", "a\nb", "A", "a"]

    plainly(stream, *(note(key, name=key) for key in keys))
    for key in keys:
        plainly(stream, note(key, "update", name=key, again=True))

    assert [row.key for row in api.rows(stream.id, "note")] == keys
    assert [api.row(stream.id, "note", key).value for key in keys] == [  # type: ignore[union-attr]
        {"name": key, "again": True} for key in keys
    ]
