"""New agents by a form that is made from the type's JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pydantic import BaseModel, Field

from entities.models import Entity
from entities.types.registry import Registry, registry
from tests.entities.web.browsing import parse


class Options(BaseModel):
    """Every kind of field."""

    name: str = Field(min_length=2, description="What to call it.")
    system_prompt: str
    count: int = Field(default=3, ge=1, le=9)
    share: float | None = None
    eager: bool = False
    colour: str = Field(default="red", json_schema_extra={"enum": ["red", "green"]})
    topics: list[str] = []
    rules: dict[str, Any] | None = None


@pytest.fixture
def page(client: Client, ada: User, types: Registry) -> Client:
    """A browser of Ada's, where the type `painter` can be made."""

    @types.define("painter", description="Paints.", creation_schema=Options)
    async def painter(ctx: Any, wake: Any) -> None: ...

    @types.define("secret", hidden=True)
    async def secret(ctx: Any, wake: Any) -> None: ...

    registry.store()
    client.force_login(ada)
    return client


def filled(**changes: str) -> dict[str, str]:
    given = {
        "id": "p1", "arg-name": "Bob", "arg-system_prompt": "Paint.", "arg-count": "4", "arg-colour": "green",
        "arg-topics": "trees\n\n clouds ", "arg-rules": '{"a": [1]}',
    }  # fmt: skip
    return {**given, **changes}


def errors(answer: Any) -> dict[str, str]:
    """The error at each field."""
    page = parse(answer.content.decode().replace("<!doctype html>", ""))
    found = {}
    for field in page.having("class", "field-bad"):
        control = next(each for each in field.walk() if "name" in each.attributes)
        found[control.attributes["name"]] = field.having("class", "field-error")[0].text
    return found


def test_it_offers_the_types_that_people_may_make(page: Client) -> None:
    text = page.get("/agents/new/").content.decode()

    assert "painter" in text
    assert "Paints." in text
    assert "/agents/new/secret/" not in text
    assert page.get("/agents/new/secret/").status_code == 404
    assert page.get("/agents/new/nothing/").status_code == 404


def test_each_kind_of_property_has_its_field(page: Client) -> None:
    form = parse(page.get("/agents/new/painter/").content.decode().replace("<!doctype html>", ""))
    fields = {each.attributes["name"]: each for each in form.walk() if "name" in each.attributes}

    assert fields["arg-name"].tag == "input"
    assert fields["arg-system_prompt"].tag == "textarea"
    assert (fields["arg-count"].attributes["type"], fields["arg-count"].attributes["max"]) == ("number", "9")
    assert fields["arg-share"].attributes["type"] == "number"
    assert fields["arg-eager"].attributes["type"] == "checkbox"
    assert [option.text for option in fields["arg-colour"].walk() if option.tag == "option"] == [
        "red",
        "green",
    ]
    assert fields["arg-topics"].tag == "textarea"
    assert "code" in fields["arg-rules"].attributes["class"]
    assert "What to call it." in form.text


def test_it_makes_the_agent_with_what_was_entered(page: Client) -> None:
    answer = page.post("/agents/new/painter/", filled(message="Begin."))

    assert (answer.status_code, answer["Location"]) == (302, "/painter/p1/")
    made = Entity.objects.get(url="/painter/p1")
    assert made.args == {
        "name": "Bob", "system_prompt": "Paint.", "count": 4, "share": None, "eager": False,
        "colour": "green", "topics": ["trees", "clouds"], "rules": {"a": [1]},
    }  # fmt: skip
    assert [row.value["payload"] for row in made.stream.rows.filter(type="inbox")] == ["Begin."]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("arg-name", "", "This field is required."),
        ("arg-name", "B", "Ensure this value has at least 2 characters (it has 1)."),
        ("arg-count", "12", "Ensure this value is less than or equal to 9."),
        ("arg-count", "x", "Enter a whole number."),
        ("arg-colour", "blue", "Select a valid choice. blue is not one of the available choices."),
        ("arg-rules", "{", "This is not JSON"),
        ("arg-rules", "[1]", "arguments of painter, rules: [1] is not valid under any of the given schemas"),
        ("id", "a b", "Letters, digits and . _ ~ - only"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(page: Client, field: str, value: str, message: str) -> None:
    answer = page.post("/agents/new/painter/", filled(**{field: value}))

    assert answer.status_code == 400
    assert errors(answer)[field].startswith(message)
    assert not Entity.objects.exists()


def test_an_address_that_is_taken_is_said_at_the_id(page: Client) -> None:
    page.post("/agents/new/painter/", filled())
    answer = page.post("/agents/new/painter/", filled())

    assert "There is an agent at /painter/p1 already" in errors(answer)["id"]


def test_what_was_entered_is_still_there_after_an_error(page: Client) -> None:
    answer = page.post("/agents/new/painter/", filled(**{"arg-name": "", "message": "Keep me"}))

    assert b"Keep me" in answer.content
