"""Types: defined once, with errors that say where; stored as rows that pages read without the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field
from pytest_django import Settings

from entities.api import Collection, InvalidInput, RegistryError, TypeAlreadyDefined, UnknownType
from entities.models import EntityType
from entities.testing.runtime import own_types
from entities.types.registry import Registry, validated
from shared_state.api import SchemaError


class Args(BaseModel):
    """Arguments."""

    name: str = Field(min_length=1)
    size: int = 3


class Item(BaseModel):
    """A row."""

    key: str


async def handler(ctx: Any, wake: Any) -> None:
    """Do nothing.

    This line is not the description.
    """


def define(registry: Registry, name: str = "thing", **options: Any) -> None:
    """Define the handler above."""
    registry.define(name, **options)(handler)


def test_a_type_is_found_under_its_name() -> None:
    registry = Registry()
    define(registry)

    assert registry.get("thing").handler is handler
    assert [found.name for found in registry.all()] == ["thing"]


def test_defining_a_type_twice_names_both_places() -> None:
    registry = Registry()
    define(registry)

    with pytest.raises(TypeAlreadyDefined) as caught:

        @registry.define("thing")
        async def another(ctx: Any, wake: Any) -> None:
            pass

    line = another_line()
    assert f"{__name__}:{handler.__code__.co_firstlineno}" in str(caught.value)
    assert f"{__name__}:{line}" in str(caught.value)


def another_line() -> int:
    """Where the second definition stands."""
    source = test_defining_a_type_twice_names_both_places.__code__
    nested = [const for const in source.co_consts if getattr(const, "co_name", "") == "another"]
    return int(nested[0].co_firstlineno)


def test_importing_a_module_again_is_no_second_definition() -> None:
    registry = Registry()
    define(registry)
    define(registry)

    assert len(registry.all()) == 1


@pytest.mark.parametrize("name", ["", "Thing", "my-thing", "1st", "a" * 64, "agents", "admin", "live", "new"])
def test_a_name_must_fit_into_an_address_that_is_free(name: str) -> None:
    with pytest.raises(RegistryError, match="cannot be a type's name"):
        define(Registry(), name)


def test_a_handler_must_be_async() -> None:
    with pytest.raises(RegistryError, match="must be `async def`"):
        Registry().define("thing")(lambda ctx, wake: None)  # type: ignore[type-var]


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(RegistryError, match=r"thing: define\(\) got an unexpected keyword argument 'stat'"):
        define(Registry(), stat={})


def test_a_built_in_collections_name_is_taken() -> None:
    with pytest.raises(RegistryError, match="runs is a built-in collection"):
        define(Registry(), state={"runs": Collection()})


@pytest.mark.parametrize(
    "state",
    [{"mine": Collection(type="run")}, {"one": Collection(type="x"), "two": Collection(type="x")}],
)
def test_a_collections_event_type_is_its_own(state: dict[str, Collection]) -> None:
    """Else its rows would pass for what the runtime writes, or for another collection's."""
    with pytest.raises(RegistryError, match=r"thing: .* cannot be a collection's event type"):
        define(Registry(), state=state)


def test_types_are_found_in_the_agents_py_of_any_installed_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    app = tmp_path / "visitors"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "agents.py").write_text(
        "from entities.api import registry\n\n"
        "@registry.define('visitor', description='Comes by.')\n"
        "async def visitor(ctx, wake):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    with own_types() as registry:
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "visitors"]
        assert registry.get("visitor").place.startswith("visitors.agents:")


def test_a_primary_key_must_be_a_field() -> None:
    with pytest.raises(SchemaError, match="items: Item has no field 'id'"):
        define(Registry(), state={"items": Collection(Item, primary_key="id")})


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    registry = Registry()
    define(registry)

    with pytest.raises(UnknownType, match="There is no type 'think'; there are thing"):
        registry.get("think")


def test_an_alias_means_the_type() -> None:
    registry = Registry()
    define(registry)
    registry.alias("gadget", "thing")

    assert registry.get("gadget").name == "thing"
    assert registry.canonical("gadget") == "thing"


def test_a_type_becomes_a_row_with_its_schemas() -> None:
    registry = Registry()
    define(
        registry,
        creation_schema=Args,
        inbox_schemas={"add": Item},
        state={"items": Collection(Item)},
        boards=[{"kind": "board"}],
        hidden=True,
    )

    assert registry.store() == 1

    row = EntityType.objects.get(name="thing")
    assert row.description == "Do nothing."
    assert row.creation_schema == Args.model_json_schema()
    assert row.inbox_schemas == {"add": Item.model_json_schema()}
    assert row.state_schemas["items"]["type"] == "state:items"
    assert (row.boards, row.hidden, row.revision) == ([{"kind": "board"}], True, 1)


def test_a_type_that_changed_gets_the_next_revision_and_one_that_did_not_keeps_its_own() -> None:
    registry = Registry()
    define(registry)
    registry.store()
    assert registry.store() == 0

    define(registry, description="Something else")
    assert registry.store() == 1

    row = EntityType.objects.get(name="thing")
    assert (row.description, row.revision) == ("Something else", 2)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, "arguments: 'name' is a required property"),
        ({"name": ""}, "arguments, name: '' should be non-empty"),
        ({"name": "x", "size": "big"}, "arguments, size: 'big' is not of type 'integer'"),
    ],
)
def test_a_value_that_does_not_fit_says_where_and_why(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validated(Args.model_json_schema(), value, "arguments")

    assert str(caught.value) == reason


def test_defaults_are_filled_in() -> None:
    assert validated(Args.model_json_schema(), {"name": "x"}, "arguments") == {"name": "x", "size": 3}
    assert validated(None, "anything", "arguments") == "anything"


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_that_cannot_pass_is_refused(timeout: float) -> None:
    define = Registry().define("slow", timeout=timeout)

    async def slow(ctx: Any, wake: Any) -> None: ...

    with pytest.raises(RegistryError, match="seconds above 0"):
        define(slow)
