"""Collections: rows by primary key, validated before anything is written."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from shared_state import api
from shared_state.api import Collection, CollectionSpec, SharedStateSchema, StateRow, collection
from shared_state.core.types import Provenance, StreamInfo
from shared_state.exceptions import (
    InvalidRow,
    RowExists,
    RowNotFound,
    SchemaError,
    SchemaMismatch,
    VersionConflict,
)
from shared_state.models import Stream
from shared_state.write.unit import Unit
from tests.conformance.writing import do, everything, make_stream


class Argument(BaseModel):
    key: str
    side: Literal["pro", "con"]
    text: str = ""
    tags: list[str] = []
    by: str = Field(default="", alias="from")


SCHEMA = SharedStateSchema(
    arguments=Collection(Argument),
    rounds=Collection(primary_key="number", type="shared:round"),
)
ARGUMENTS, ROUNDS = SCHEMA["arguments"], SCHEMA["rounds"]


@pytest.fixture
def stream() -> StreamInfo:
    return make_stream("shared:debate", schema=SCHEMA.to_json())


def put(operation: Any, stream: StreamInfo, spec: CollectionSpec, *args: Any, **options: Any) -> StateRow:
    provenance = options.pop("provenance", Provenance("agent:/debate/1", "1", "1.0", "1.0-c0"))
    return do(lambda unit: operation(unit, stream.id, spec, *args, **options), provenance=provenance)  # type: ignore[no-any-return]


def values(stream: StreamInfo, spec: CollectionSpec = ARGUMENTS) -> dict[str, Any]:
    return {row.key: row.value for row in api.rows(stream.id, spec.type)}


def test_a_row_is_stored_under_its_key_with_its_defaults(stream: StreamInfo) -> None:
    row = put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro"})

    assert row == {"key": "a", "side": "pro", "text": "", "tags": [], "from": ""}
    assert values(stream) == {"a": row}
    assert (row.version, row.writer, row.wake, row.run, row.tool_call) == (
        1, "agent:/debate/1", "1", "1.0", "1.0-c0",
    )  # fmt: skip


def test_a_model_is_a_row_as_well(stream: StreamInfo) -> None:
    row = put(collection.insert, stream, ARGUMENTS, Argument(key="a", side="con", **{"from": "ada"}))

    assert row["from"] == "ada"
    assert values(stream) == {"a": row}


def test_defaults_are_not_shared_between_rows(stream: StreamInfo) -> None:
    def two(unit: Unit) -> None:
        first = collection.insert(unit, stream.id, ARGUMENTS, {"key": "a", "side": "pro"})
        first["tags"].append("spoiled")
        ARGUMENTS.valid({"key": "x", "side": "pro"})["tags"].append("spoiled")
        collection.insert(unit, stream.id, ARGUMENTS, {"key": "b", "side": "pro"})

    do(two)

    assert [row["tags"] for row in values(stream).values()] == [[], []]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"side": "pro"}, r"arguments: 'key' is a required property"),
        ({"key": "a", "side": "neutral"}, r"arguments, side: 'neutral' is not one of \['pro', 'con'\]"),
        ({"key": "a", "side": "pro", "tags": ["x", 1]}, r"arguments, tags\[1\]: 1 is not of type 'string'"),
        ({"key": "", "side": "pro"}, r"arguments, key: a key is"),
        ({"key": "k" * 256, "side": "pro"}, r"arguments, key: a key is"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_field_and_reason(
    stream: StreamInfo, row: Any, reason: str
) -> None:
    with pytest.raises(InvalidRow, match=reason):
        put(collection.insert, stream, ARGUMENTS, row)
    with pytest.raises(InvalidRow, match=reason):
        put(collection.upsert, stream, ARGUMENTS, row)

    assert everything(stream) == []


def test_a_long_row_is_not_repeated_in_the_reason(stream: StreamInfo) -> None:
    with pytest.raises(InvalidRow) as refused:
        put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "x" * 10_000})

    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("key", [None, True, 1.5, ["a"], {"a": 1}])
def test_a_key_is_a_text_or_a_whole_number(stream: StreamInfo, key: Any) -> None:
    with pytest.raises(InvalidRow, match="rounds, number: a key is a whole number or a text"):
        put(collection.insert, stream, ROUNDS, {"number": key})


def test_a_number_and_its_text_are_the_same_key(stream: StreamInfo) -> None:
    put(collection.insert, stream, ROUNDS, {"number": 1, "topic": "cars"})

    with pytest.raises(RowExists):
        put(collection.insert, stream, ROUNDS, {"number": "1"})
    row = put(collection.update, stream, ROUNDS, 1, {"topic": "bikes"})

    assert row == {"number": 1, "topic": "bikes"}
    assert values(stream, ROUNDS) == {"1": row}


def test_an_update_changes_the_fields_that_it_names(stream: StreamInfo) -> None:
    put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro", "text": "old"})

    row = put(collection.update, stream, ARGUMENTS, "a", {"text": "new"})

    assert (row["text"], row["side"], row.version) == ("new", "pro", 2)
    event = everything(stream)[-1]
    assert event.value == row
    assert event.old == {**row, "text": "old"}


@pytest.mark.parametrize("returns", [True, False])
def test_an_update_by_a_function_may_change_or_replace(stream: StreamInfo, returns: bool) -> None:
    put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro", "tags": ["one"]})

    def change(row: Any) -> Any:
        row["tags"].append("two")
        return row if returns else None

    row = put(collection.update, stream, ARGUMENTS, "a", change)

    assert row["tags"] == ["one", "two"]
    event = everything(stream)[-1]
    assert event.old is not None
    assert event.old["tags"] == ["one"]


def test_an_update_that_is_refused_changed_nothing_even_in_its_unit(stream: StreamInfo) -> None:
    put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro", "tags": ["one"]})

    def spoil(unit: Unit) -> Any:
        with pytest.raises(InvalidRow):
            collection.update(unit, stream.id, ARGUMENTS, "a", lambda row: row["tags"].append(2))
        with pytest.raises(InvalidRow, match="cannot change 'key'"):
            collection.update(unit, stream.id, ARGUMENTS, "a", {"key": "b"})
        return unit.row(stream.id, ARGUMENTS.type, "a")

    assert do(spoil).value["tags"] == ["one"]
    assert len(everything(stream)) == 1


def test_the_row_must_be_there_or_not(stream: StreamInfo) -> None:
    put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro"})

    with pytest.raises(RowExists):
        put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "con"})
    with pytest.raises(RowNotFound, match="no row 'b' in arguments"):
        put(collection.update, stream, ARGUMENTS, "b", {"text": "x"})
    with pytest.raises(RowNotFound):
        put(collection.delete, stream, ARGUMENTS, "b")
    put(collection.upsert, stream, ARGUMENTS, {"key": "a", "side": "con"})
    put(collection.delete, stream, ARGUMENTS, "a")

    assert values(stream) == {}


def test_a_version_conflict_carries_the_current_row(stream: StreamInfo) -> None:
    seen = put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro"})
    now = put(collection.update, stream, ARGUMENTS, "a", {"text": "faster"})

    with pytest.raises(VersionConflict) as refused:
        put(collection.update, stream, ARGUMENTS, "a", {"text": "slower"}, expect_version=seen.version)
    with pytest.raises(VersionConflict):
        put(collection.delete, stream, ARGUMENTS, "a", expect_version=seen.version)

    assert refused.value.current == now
    assert refused.value.version == now.version
    assert values(stream) == {"a": now}


def test_a_repeated_change_answers_what_the_first_did(stream: StreamInfo) -> None:
    first = put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro"}, client_key="i")
    added = put(
        collection.update, stream, ARGUMENTS, "a", lambda row: row["tags"].append("x"), client_key="u"
    )
    put(
        collection.update,
        stream,
        ARGUMENTS,
        "a",
        {"text": "since then"},
        provenance=Provenance("agent:/other/1"),
    )

    insert = put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro"}, client_key="i")
    update = put(
        collection.update, stream, ARGUMENTS, "a", lambda row: row["tags"].append("x"), client_key="u"
    )

    assert (insert, insert.version, insert.writer) == (first, 1, first.writer)
    assert (update, update.version, update.writer) == (added, 2, added.writer)
    assert values(stream)["a"]["tags"] == ["x"]


def test_a_repeated_change_to_a_row_that_is_gone_is_a_repetition(stream: StreamInfo) -> None:
    put(collection.insert, stream, ARGUMENTS, {"key": "a", "side": "pro"})
    put(collection.update, stream, ARGUMENTS, "a", {"text": "x"}, client_key="u", expect_version=1)
    put(collection.delete, stream, ARGUMENTS, "a", client_key="d")

    update = put(collection.update, stream, ARGUMENTS, "a", {"text": "x"}, client_key="u", expect_version=1)
    put(collection.delete, stream, ARGUMENTS, "a", client_key="d")

    assert update["text"] == "x"
    assert len(everything(stream)) == 3


def test_a_schema_is_stored_with_its_stream(stream: StreamInfo) -> None:
    assert api.collections_of(stream.id) == dict(SCHEMA)
    SCHEMA.agreed(api.get_stream(stream.path).schema, "Shared state 'debate'")


def test_a_schema_that_disagrees_is_refused_with_the_difference(stream: StreamInfo) -> None:
    class Other(BaseModel):
        key: str
        side: str

    stored = api.get_stream(stream.path).schema
    for given, reason in (
        (
            Collection(Other),
            "another schema of its rows .*'by'|another schema of its rows .* differ in .*'side'",
        ),
        (Collection(Argument, type="state:argument"), r"another event type \('shared:arguments'\)"),
        (Collection(Argument, primary_key="side"), "another primary key"),
    ):
        with pytest.raises(SchemaMismatch, match=f"debate: collection 'arguments' is stored with {reason}"):
            SharedStateSchema(arguments=given).agreed(stored, "debate")
    with pytest.raises(SchemaMismatch, match="debate has no collection 'votes'; it has arguments, rounds"):
        SharedStateSchema(votes=Collection()).agreed(stored, "debate")


@pytest.mark.parametrize(
    "stored",
    [
        [],
        "x",
        7,
        {"arguments": None},
        {"arguments": {"type": 7}},
        {"a": {"type": "x", "schema": {"type": 7}}},
    ],
)
def test_a_schema_that_cannot_be_read_raises_and_never_reads_as_empty(
    stream: StreamInfo, stored: Any
) -> None:
    Stream.objects.filter(pk=stream.id).update(schema=stored)

    with pytest.raises(SchemaError):
        api.collections_of(stream.id)
    with pytest.raises(SchemaError):
        SCHEMA.agreed(api.get_stream_by_id(stream.id).schema, "debate")
