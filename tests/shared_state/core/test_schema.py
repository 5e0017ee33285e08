"""Schemas: from models to JSON and back, and what is not a schema."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from shared_state.core.schema import Collection, CollectionSpec, SharedStateSchema, collections
from shared_state.exceptions import InvalidRow, SchemaError, SchemaMismatch


class Item(BaseModel):
    key: str
    name: str = Field(min_length=1)
    done: bool = False


def test_a_collection_names_its_event_type_after_itself() -> None:
    assert Collection(Item).spec("items", "state:").type == "state:items"
    assert SharedStateSchema(items=Collection(Item))["items"].type == "shared:items"
    assert Collection(Item, type="item").spec("items", "state:").type == "item"


def test_a_schema_survives_its_journey() -> None:
    schema = SharedStateSchema(
        items=Collection(
            Item, externally_writable=True, operations=("insert", "update"), board={"kind": "board"}
        ),
        notes=Collection(primary_key="id"),
    )

    read = SharedStateSchema.from_json(schema.to_json())

    assert dict(read) == dict(schema) == collections(schema.to_json())
    assert SharedStateSchema.of(schema) is schema
    assert dict(SharedStateSchema.of(schema.to_json())) == dict(schema)
    assert read.agreed(schema.to_json(), "here") == schema.to_json()


def test_the_primary_key_must_be_a_field() -> None:
    with pytest.raises(SchemaError, match="items: Item has no field 'id', which is to be its primary key"):
        SharedStateSchema(items=Collection(Item, primary_key="id"))


def test_collections_do_not_share_a_type() -> None:
    with pytest.raises(SchemaError, match="Two collections share an event type: x, x"):
        SharedStateSchema(one=Collection(type="x"), two=Collection(type="x"))


def test_without_a_model_a_row_is_any_object() -> None:
    spec = Collection().spec("notes", "state:")

    assert spec.valid({"key": "a", "anything": [1, {}]}) == {"key": "a", "anything": [1, {}]}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, "A schema is an object of collections by name"),
        ([], "A schema is an object of collections by name"),
        (None, "A schema is an object of collections by name"),
        ({"a": None}, "'a' needs an object with at least a type"),
        ({"a": {"primary_key": "key"}}, "'a' needs an object with at least a type"),
        ({"a": {"type": "x", "primary_key": 7}}, "its primary_key cannot be 7"),
        ({"a": {"type": "x", "operations": "insert"}}, "its operations cannot be 'insert'"),
        ({"a": {"type": "x", "operations": ["truncate"]}}, "there is no operation 'truncate'"),
        ({"a": {"type": "x", "board": ["board"]}}, "its board cannot be"),
        ({"a": {"type": "x", "externally_writable": "yes"}}, "its externally_writable cannot be 'yes'"),
        ({"a": {"type": "x", "schema": True}}, "its schema cannot be True"),
        ({"a": {"type": "x", "schema": {"type": "nonsense"}}}, "This is not a JSON Schema"),
    ],
)
def test_what_is_not_a_schema_is_refused_with_the_reason(value: Any, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        SharedStateSchema.from_json(value)


def test_nothing_stored_is_no_collections_but_nonsense_is_an_error() -> None:
    assert collections({}) == {}
    with pytest.raises(SchemaError, match="not an object of collections"):
        collections(None)  # type: ignore[arg-type]


def test_a_schema_cannot_make_us_fetch_an_address() -> None:
    spec = CollectionSpec("a", "x", json_schema={"$ref": "http://127.0.0.1:9/schema.json"})

    with pytest.raises(SchemaError, match="a: the schema refers to what is not in it"):
        spec.valid({"key": "a"})


def test_a_schema_may_refer_to_itself() -> None:
    class Tree(BaseModel):
        key: str
        children: list["Tree"] = []

    spec = Collection(Tree).spec("trees", "state:")

    assert spec.valid({"key": "a", "children": [{"key": "b"}]})["key"] == "a"
    with pytest.raises(InvalidRow, match=r"trees, children\[0\]: 'key' is a required property"):
        spec.valid({"key": "a", "children": [{}]})


def test_a_rule_may_be_just_true() -> None:
    spec = CollectionSpec("a", "x", json_schema={"properties": {"anything": True, "n": {"default": 1}}})

    assert spec.valid({"key": "a"}) == {"key": "a", "n": 1}


def test_only_what_decides_about_rows_must_agree() -> None:
    stored = SharedStateSchema(items=Collection(Item), other=Collection()).to_json()
    stored["items"]["board"] = {"kind": "board"}
    stored["items"]["operations"] = ["insert", "delete"]

    SharedStateSchema(items=Collection(Item)).agreed(stored, "here")
    stored["items"]["schema"]["properties"]["done"]["type"] = "string"
    with pytest.raises(
        SchemaMismatch, match="another schema of its rows than the one you gave; they differ in 'done', type"
    ):
        SharedStateSchema(items=Collection(Item)).agreed(stored, "here")
