"""Rows of models: what a model takes in Python goes in, its JSON comes out, what is wrong is refused."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field, create_model

from shared_state.core.model_json import read_as
from shared_state.core.schema import Collection, CollectionSpec
from shared_state.exceptions import InvalidRow

T = TypeVar("T")
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")
    due_date: date = Field(alias="dueDate")
    width: int = Field(1, validation_alias=AliasChoices("w", "width"), serialization_alias="theWidth")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.width


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Page(BaseModel, Generic[T]):
    items: list[T]


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


INNER = st.builds(lambda due, width: Inner(due_date=due, width=width), st.dates(), st.integers(-9, 9))
TREES = st.recursive(
    st.builds(Tree, name=WORDS),
    lambda inner: st.builds(Tree, name=WORDS, children=st.lists(inner, max_size=2)),
)
TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "date": (date, st.dates()),
    "datetime": (datetime, st.datetimes(timezones=st.none() | st.just(UTC))),
    "time": (time, st.times()),
    "timedelta": (timedelta, st.timedeltas(timedelta(-999), timedelta(999))),
    "decimal": (Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=2)),
    "float": (float, st.floats(allow_nan=False, allow_infinity=False)),
    "uuid": (UUID, st.uuids()),
    "enum": (Color, st.sampled_from(Color)),
    "set": (set[int], st.sets(st.integers(-9, 9), max_size=1)),
    "tuple": (tuple[int, str], st.tuples(st.integers(-9, 9), WORDS)),
    "mapping": (dict[UUID, Inner], st.dictionaries(st.uuids(), INNER, max_size=2)),
    "inner": (Inner, INNER),
    "tree": (Tree, TREES),
    "generic": (Page[Inner], st.builds(Page[Inner], items=st.lists(INNER, max_size=2))),
    "union": (
        Annotated[Cat | Dog, Field(discriminator="kind")], st.builds(Cat) | st.builds(Dog),
    ),
    "optional": (date | None, st.none() | st.dates()),
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.data(), st.booleans())
def test_what_a_model_takes_goes_in_and_its_json_comes_out(data: st.DataObject, strict: bool) -> None:
    chosen = data.draw(st.dictionaries(st.sampled_from("abcd"), st.sampled_from([*TYPES]), max_size=4))
    config = ConfigDict(strict=strict, extra=data.draw(st.sampled_from(["forbid", "ignore", "allow"])))
    fields: dict[str, Any] = {name: (TYPES[kind][0], ...) for name, kind in chosen.items()}
    model: type[BaseModel] = create_model("Row", __config__=config, key=(str, ...), **fields)
    spec = Collection(model).spec("rows", "state:")
    given = {"key": "k", **{name: data.draw(TYPES[kind][1]) for name, kind in chosen.items()}}

    row = spec.fitted(given)

    assert json.loads(json.dumps(row)) == row
    assert spec.fitted(row) == row == spec.fitted(model(**given)) == spec.valid(row)
    assert read_as(model, row) == model(**given)
    elsewhere = CollectionSpec.from_json("rows", spec.to_json())
    assert elsewhere.valid(row) == row


class Order(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")
    key: UUID
    due_date: date = Field(alias="dueDate")
    tags: list[str] = Field(default_factory=lambda: ["new"])
    price: float = 0.0
    inner: Inner | None = None


KEY = "e3e70682-c209-4cac-629f-6fbed82c07cd"


def test_defaults_and_factories_are_filled_in_and_names_are_those_of_the_schema() -> None:
    spec = Collection(Order).spec("orders", "state:")

    row = spec.fitted({"key": UUID(KEY), "due_date": "2026-01-02"})

    assert row == {"key": KEY, "dueDate": "2026-01-02", "tags": ["new"], "price": 0.0, "inner": None}
    assert spec.named({"due_date": 1, "price": 2}) == {"dueDate": 1, "price": 2}
    assert (spec.key_text(UUID(KEY)), spec.key_text(Color.RED), spec.key_text(7)) == (KEY, "red", "7")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"dueDate": "not a date"}, "orders, dueDate: Input should be a valid date"),
        (
            {"dueDate": date(2026, 1, 1), "price": float("nan")},
            "orders, price: nan is no number that JSON",
        ),
        ({"dueDate": date(2026, 1, 1), "colour": 1}, r"orders: Additional properties .*'colour'"),
        ({"dueDate": date(2026, 1, 1), "tags": [1]}, r"orders, tags\[0\]: 1 is not of type 'string'"),
        ({"dueDate": date(2026, 1, 1), "price": object()}, "orders, price: Input should be a valid number"),
        ({"dueDate": date(2026, 1, 1), "inner": {"dueDate": "x"}}, "orders, inner"),
    ],
)
def test_what_is_wrong_is_refused_with_its_path_and_reason(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRow, match=why):
        Collection(Order).spec("orders", "state:").fitted({"key": KEY, **fields})


def test_extra_fields_are_as_the_model_says() -> None:
    def row(extra: Literal["ignore", "allow", "forbid"]) -> Any:
        model = create_model("Row", __config__=ConfigDict(extra=extra), key=(str, ...))
        return Collection(model).spec("rows", "state:").fitted({"key": "a", "when": date(2026, 1, 2)})

    assert row("ignore") == {"key": "a"}
    assert row("allow") == {"key": "a", "when": "2026-01-02"}
    with pytest.raises(InvalidRow, match="when"):
        row("forbid")


def test_without_a_model_a_row_is_what_can_be_json() -> None:
    spec = Collection().spec("notes", "state:")

    assert spec.fitted({"key": "a", "on": date(2026, 1, 2), "price": Decimal("1.50")}) == {
        "key": "a", "on": "2026-01-02", "price": "1.50",
    }  # fmt: skip
    with pytest.raises(InvalidRow, match=r"notes, list\.1: inf is no number that JSON knows"):
        spec.fitted({"key": "a", "list": [1.0, float("inf")]})
    with pytest.raises(InvalidRow, match="notes: not JSON"):
        spec.fitted({"key": "a", "odd": object()})


@pytest.mark.parametrize(
    ("format", "right", "wrong"),
    [
        ("date", "2026-02-28", "2026-02-30"),
        ("date", "2024-02-29", "1700000000"),
        ("date-time", "2026-01-02T03:04:05Z", "2026-01-02T25:00:00Z"),
        ("time", "03:04:05", "25:00"),
        ("duration", "P1DT2H", "two days"),
        ("uuid", KEY, "e3e70682"),
        ("email", "ada@example.org", "ada"),
        ("uri", "https://example.org/", "no address"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
    ],
)
def test_a_format_is_checked_where_no_model_is_known(format: str, right: str, wrong: str) -> None:
    schema = {"type": "object", "properties": {"value": {"type": "string", "format": format}}}
    spec = CollectionSpec("rows", "x", json_schema=schema)

    assert spec.valid({"key": "a", "value": right})["value"] == right
    with pytest.raises(InvalidRow, match=f"rows, value: .* is not a '{format}'"):
        spec.valid({"key": "a", "value": wrong})


def test_an_older_model_keeps_what_a_newer_schema_has() -> None:
    class Older(BaseModel):
        model_config = ConfigDict(extra="forbid")
        key: str

    class Newer(Older):
        note: str = ""

    schema = Collection(Newer).spec("rows", "shared:").json_schema
    spec = CollectionSpec("rows", "shared:rows", json_schema=schema, model=Older)

    assert spec.fitted({"key": "a", "note": "kept"}) == {"key": "a", "note": "kept"}
    assert spec.readable({"key": "a", "note": "kept"}) == {"key": "a"}
