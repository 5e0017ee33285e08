"""Parameters of every kind that pydantic knows: what a model sends arrives as what the signature says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, TypeAdapter, computed_field
from pydantic_core import to_jsonable_python

from entities.exceptions import InvalidInput, ToolError
from entities.types.tool import as_tool, from_model, index_tools, tool

T = TypeVar("T")


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    due: date
    price: Decimal = Decimal("1.50")


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Page(BaseModel, Generic[T]):
    items: list[T]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


class Area(BaseModel):
    width: int = Field(alias="theWidth")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.width


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "date": (date, st.dates()),
    "datetime": (datetime, st.datetimes()),
    "timedelta": (timedelta, st.timedeltas(timedelta(-999), timedelta(999))),
    "decimal": (Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=2)),
    "uuid": (UUID, st.uuids()),
    "enum": (Color, st.sampled_from(Color)),
    "bytes": (bytes, st.text(st.characters(codec="utf-8")).map(str.encode)),
    "set": (set[int], st.sets(st.integers(-9, 9))),
    "tuple": (tuple[int, str], st.tuples(st.integers(), st.text(st.characters(codec="utf-8")))),
    "mapping": (dict[UUID, date], st.dictionaries(st.uuids(), st.dates(), max_size=3)),
    "strict": (Strict, st.builds(Strict, due=st.dates(), price=st.just(Decimal("2.25")))),
    "tree": (
        Tree,
        st.recursive(st.builds(Tree, name=st.just("a")), lambda c: st.builds(Tree, name=st.just("b"),
                                                                           children=st.lists(c, max_size=3))),
    ),
    "generic": (Page[date], st.builds(Page[date], items=st.lists(st.dates(), max_size=3))),
    "union": (Pet, st.one_of(st.builds(Cat, kind=st.just("cat")), st.builds(Dog, kind=st.just("dog")))),
    "optional": (int | None, st.none() | st.integers()),
}  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_a_type_takes_arrives_as_it_was(data: st.DataObject) -> None:
    chosen = data.draw(
        st.dictionaries(st.sampled_from(["a", "json", "copy", "p0_copy"]), st.sampled_from([*TYPES]))
    )

    def function(**values: Any) -> dict[str, Any]:
        return values

    made = tool(_with_parameters(function, {name: TYPES[kind][0] for name, kind in chosen.items()}))
    values = {name: data.draw(TYPES[kind][1]) for name, kind in chosen.items()}

    sent = json.loads(json.dumps(to_jsonable_python(values)))

    assert made.validate(sent) == values


def _with_parameters(function: Callable[..., Any], hints: dict[str, Any]) -> Callable[..., Any]:
    """A function whose signature names these parameters."""
    space: dict[str, Any] = {"function": function}
    names = ", ".join(hints)
    exec(f"def made({names}): return function({', '.join(f'{n}={n}' for n in hints)})", space)
    space["made"].__annotations__ = hints
    made: Callable[..., Any] = space["made"]
    return made


async def test_a_field_says_what_a_parameter_is() -> None:
    @tool
    async def weather(  # noqa: D417
        city: str = Field(description="The city.", min_length=2),
        days: int = Field(default=3, ge=1, le=9),
        units: Annotated[str, Field(pattern="^[CF]$")] = "C",
        tags: list[str] = Field(default_factory=list),  # noqa: B008
        *,
        due_date: date | None = Field(None, alias="dueDate"),  # noqa: B008
        shout: str = Field(default_factory=lambda given: given["city"].upper()),
    ) -> list[Any]:
        """Weather.

        Args:
            city: Not this.
            units: Of the temperature.
        """
        return [city, days, units, tags, due_date, shout]

    known = weather.parameters["properties"]
    assert weather.parameters["required"] == ["city"]
    assert known["city"] == {"type": "string", "minLength": 2, "description": "The city."}
    assert known["units"]["description"] == "Of the temperature."
    assert (known["days"]["default"], known["days"]["maximum"]) == (3, 9)
    assert "dueDate" in known
    assert "due_date" not in known
    said = await weather.call({"city": "Rome", "dueDate": "2026-01-02"})
    assert json.loads(said.content) == ["Rome", 3, "C", [], "2026-01-02", "ROME"]
    for wrong in ({"days": -5}, {"city": "R"}, {"units": "K"}, {"dueDate": "soon"}):
        with pytest.raises(ToolError, match=f"'{next(iter(wrong))}' is "):
            await weather.call({"city": "Rome", **wrong})


def even(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value


Even = Annotated[int, AfterValidator(even), Field(ge=2, description="Even.")]


async def test_a_default_of_none_may_be_said_whatever_the_type() -> None:
    @tool
    async def search(
        limit: int = None,  # type: ignore[assignment]  # noqa: RUF013
        page: Even = None,  # type: ignore[assignment]
        size: int = Field(None, le=5),  # type: ignore[assignment]
    ) -> list[Any]:
        """Search."""
        return [limit, page, size]

    assert (await search.call({"limit": None, "page": None, "size": None})).content == "[null,null,null]"
    assert (await search.call({"page": 4})).content == "[null,4,null]"
    assert search.parameters["properties"]["page"]["description"] == "Even."
    for wrong in ({"page": 3}, {"page": 0}, {"size": 6}):
        with pytest.raises(ToolError):
            await search.call(wrong)


async def test_a_generated_tool_hands_out_fields_by_name_and_what_else_its_model_keeps() -> None:
    class Open(Area):
        model_config = ConfigDict(extra="allow")

    seen: list[dict[str, Any]] = []
    made = from_model("area", "An area.", Open, lambda **fields: seen.append(fields))

    await made.call({"theWidth": 2, "more": True})

    assert list(made.parameters["properties"]) == ["theWidth"]
    assert seen == [{"width": 2, "more": True}]


def test_a_model_that_refers_to_itself_has_its_parameters_at_the_top() -> None:
    made = from_model("plant", "Plant it.", Tree, print)

    assert made.parameters["type"] == "object"
    assert list(made.parameters["properties"]) == ["name", "children"]
    assert made.validate({"name": "a", "children": [{"name": "b"}]})["children"] == [Tree(name="b")]


def test_a_plain_function_becomes_a_tool() -> None:
    def double(number: int) -> int:
        """Double it."""
        return 2 * number

    class Adder:
        def __call__(self, number: int) -> int:
            return number + 1

        def add(self, number: int) -> int:
            """Add."""
            return number + 1

    found = index_tools([double, tool(name="other")(double), Adder().add])

    assert list(found) == ["double", "other", "add"]
    assert found["double"].parameters["properties"] == {"number": {"type": "integer"}}
    assert tool(name="one")(Adder()).validate({"number": "1"}) == {"number": 1}
    assert tool(name="two")(partial(double, number=2)).validate({}) == {"number": 2}
    assert as_tool(found["add"]) is found["add"]
    with pytest.raises(InvalidInput, match="'search' cannot be a tool: give a function"):
        index_tools(["search"])  # type: ignore[list-item]


class Spaced(BaseModel):
    inner: int = Field(alias="the width")


def odd_name(größe: int) -> None: ...  # noqa: PLC2401
def odd_alias(size: int = Field(alias="the size")) -> None: ...
def long_name(size: int = Field(alias="x" * 65)) -> None: ...
def odd_field(area: Spaced) -> None: ...
def odd_line(size: int = Field(alias="size\n")) -> None: ...
def odd_type(size: Annotated[int, Field(json_schema_extra={"type": "whole"})]) -> None: ...
def odd_reference(size: Annotated[int, Field(json_schema_extra={"$ref": "http://x/y"})]) -> None: ...
def odd_function(then: Callable[[], int]) -> None: ...
def unknown(then: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (odd_name, "'größe' cannot name a parameter"),
        (odd_alias, "'the size' cannot name a parameter"),
        (long_name, "cannot name a parameter"),
        (odd_field, "'the width' cannot name a parameter or field"),
        (odd_line, "cannot name a parameter"),
        (odd_type, "whose schema is none at properties.size.type"),
        (odd_reference, "refers to 'http://x/y', which is not in it"),
        (odd_function, "a type that JSON cannot carry"),
        (unknown, "the type 'Nowhere' is not known"),
        (lambda x: x, "cannot name a tool"),
        (int, "."),
    ],
)
def test_what_an_api_would_refuse_is_refused_where_the_tool_is_defined(
    function: Callable[..., Any], why: str
) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        as_tool(function)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", [list[int], Cat | Dog, Pet, int, dict[str, int] | None])
def test_arguments_that_are_no_fields_are_refused(kind: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be a list or a union"):
        from_model("odd", "Odd.", RootModel[kind], print)


def test_every_type_here_is_one_that_json_carries() -> None:
    assert all(TypeAdapter(kind).json_schema() for kind, _ in TYPES.values())
