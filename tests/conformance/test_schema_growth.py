"""A deploy brings other words and optional fields: whoever observes goes on, and what is stored grows."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from entities.api import Collection, SharedStateSchema, db
from entities.types.registry import Registry
from shared_state.api import SchemaMismatch, get_stream, in_thread
from tests.support.acting import Acting


class Part(BaseModel):
    """A part."""

    name: str


class RenamedPart(BaseModel):
    """A part, as we say now."""

    name: str = Field(title="Its name")
    note: str = ""


def schema(words: str = "An item.", part: Any = Part, **fields: Any) -> SharedStateSchema:
    """One collection; `fields` are more of its rows'."""
    model = create_model(
        "Item", __doc__=words, __config__=ConfigDict(extra="forbid"),
        **{"key": (str, ...), "kind": (Literal["a", "b"], "a"), "parts": (list[part], []), **fields},
    )  # fmt: skip
    return SharedStateSchema(items=Collection(model))


@pytest.fixture
async def actor(types: Registry) -> Acting:
    """Somebody who has a shared state."""
    found = Acting(types)
    await found.do(lambda ctx: ctx.mkdb("items", schema()))
    return found


async def put(actor: Acting, given: SharedStateSchema, **fields: Any) -> Any:
    """Observe with a schema and write a row."""

    async def act(ctx: Any) -> Any:
        return dict(await (await ctx.observe(db("items", given))).items.upsert(key="a", **fields))

    return await actor.do(act)


async def test_words_and_optional_fields_agree_and_are_stored(actor: Acting) -> None:
    newer = schema("One item, as we keep it.", RenamedPart, note=(str | None, None))

    assert (await put(actor, newer, note="x"))["note"] == "x"

    stored = (await _stored())["items"]["schema"]
    assert stored["description"] == "One item, as we keep it."
    assert "note" in stored["properties"]


async def test_older_code_goes_on_and_takes_nothing_away(actor: Acting) -> None:
    newer = schema(note=(str, "none"))
    await put(actor, newer, note="kept")

    async def change(ctx: Any) -> Any:
        return dict(await (await ctx.observe(db("items", schema("Older.")))).items.update("a", kind="b"))

    assert await actor.do(change) == {"key": "a", "kind": "b", "parts": [], "note": "kept"}
    assert "note" in (await _stored())["items"]["schema"]["properties"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (schema(note=(str, ...)), r"'note' \(stored: 'no such field'; given: 'required'\)"),
        (schema(part=create_model("Part", name=(int, ...))), r"'parts\[\]\.name', type \(stored: 'string'"),
        (schema(part=create_model("Part", name=(str, "x"))), r"'parts\[\]\.name' \(stored: 'required'"),
        (
            schema(kind=(Literal["a", "c"], "a")),
            r"'kind', enum \(stored: \['a', 'b'\]; given: \['a', 'c'\]\)",
        ),
    ],
)
async def test_what_does_not_agree_says_what_differs_and_what_to_do(
    actor: Acting, given: SharedStateSchema, why: str
) -> None:
    before = await _stored()

    with pytest.raises(SchemaMismatch, match=why) as caught:
        raise await put(actor, given)

    assert "make a shared state with another id" in str(caught.value)
    assert await _stored() == before


async def _stored() -> Any:
    return (await in_thread(get_stream, "shared:items")).schema
