"""Collections and fields are shown in the order in which they were declared, on every database."""

from __future__ import annotations

from pydantic import BaseModel

from entities.models import EntityType
from entities.types.registry import Registry
from shared_state.api import Collection, SharedStateSchema, collections, get_stream
from shared_state.html.tables import columns
from shared_state.models import Stream
from tests.conformance.writing import do, make_stream
from tests.support.acting import Acting


class Card(BaseModel):
    """Fields that a database would sort by their length, or by their letters."""

    statement: str
    key: str
    zeal: int
    at: int


FIELDS = ["key", "statement", "zeal", "at"]
SCHEMA = SharedStateSchema(rulings=Collection(Card), arguments=Collection(Card), log=Collection())


def test_a_shared_state_keeps_the_order_of_its_collections() -> None:
    made = make_stream("shared:ordered", schema=SCHEMA.to_json())
    do(lambda unit: unit.change_stream(made.id, observed=True))

    for stored in (get_stream("shared:ordered").schema, Stream.objects.get(pk=made.id).schema):
        assert list(stored) == ["rulings", "arguments", "log"]
        assert columns(collections(stored)["arguments"]) == FIELDS


def test_one_that_is_saved_by_the_orm_does_too() -> None:
    Stream.objects.create(path="shared:saved", kind="shared", owner="user:ada", schema=SCHEMA.to_json())

    assert list(get_stream("shared:saved").schema) == list(SCHEMA)


def test_a_type_keeps_the_order_of_its_state(types: Registry) -> None:
    Acting(types, state={"rulings": Collection(Card), "arguments": Collection(Card), "log": Collection()})
    types.store()

    found = collections(EntityType.objects.get(name="actor").state_schemas)
    assert list(found) == ["rulings", "arguments", "log"]
    assert columns(found["rulings"]) == FIELDS
