"""What comes again with a key is compared as it was given, not as a schema or a model filled it in."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from shared_state.core.same import Filled, is_same

WRITTEN, MADE = {"n": {"type": "integer", "default": 0}}, {"n": {"type": "integer"}}
AT_ONE_TIME, LATER = {"a": 1, "n": 7}, {"a": 1, "n": 8}


class Line(BaseModel):
    article: str
    id: int = Field(default_factory=lambda: 1)


@pytest.mark.parametrize(
    ("filled", "stored"),
    [
        (Filled(LATER, {"a": 1}, MADE), AT_ONE_TIME),
        (Filled({"a": 1, "new": 0}, {"a": 1}), {"a": 1}),
        (Filled({"in": LATER}, {"in": {"a": 1}}), {"in": AT_ONE_TIME}),
        (Filled([LATER, LATER], [{"a": 1}, {"a": 1}]), [AT_ONE_TIME, AT_ONE_TIME]),
        (Filled({"article": "x", "id": 2}, Line(article="x")), {"article": "x", "id": 1}),
        (Filled("text", "text"), "text"),
    ],
)
def test_what_was_filled_in_does_not_make_it_another(filled: Filled, stored: Any) -> None:
    assert is_same(filled.beside(stored), stored)


@pytest.mark.parametrize(
    ("filled", "stored"),
    [
        (Filled({"a": 1, "n": 0}, {"a": 1}, WRITTEN), AT_ONE_TIME),  # it was given then, and is not now
        (Filled({"a": 1}, {"a": 1}), AT_ONE_TIME),
        (Filled(LATER, LATER, MADE), AT_ONE_TIME),
        (Filled({"a": 1, "new": 0}, {"a": 1, "new": 0}), {"a": 1}),
        (Filled({"in": LATER}, {"in": LATER}), {"in": AT_ONE_TIME}),
        (Filled([LATER], [{"a": 1}]), [AT_ONE_TIME, AT_ONE_TIME]),
        (Filled({"article": "x", "id": 2}, Line(article="x", id=2)), {"article": "x", "id": 1}),
        (Filled("text", "text"), "other"),
    ],
)
def test_what_was_given_otherwise_is_another(filled: Filled, stored: Any) -> None:
    assert not is_same(filled.beside(stored), stored)
