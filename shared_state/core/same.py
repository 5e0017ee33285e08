"""Whether two values are the same JSON. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel

from shared_state.core.json_text import decoded, encoded
from shared_state.exceptions import KeyReused

SHOWN = 300
"""How many characters of a value an error shows."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What somebody gave, as JSON `whole`, once a schema or a model had filled in what was left out."""

    whole: Any
    given: Any
    """As it was given: only the names of its fields are looked at, within lists and objects as well."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The rules of its fields, as JSON Schema: which defaults are written there, and not made each time."""

    def beside(self, stored: Any) -> Any:
        """It as it would have been filled in when that was stored which came with the same key.

        A field that nobody gave, and that was not there then, came with a newer schema; one whose default is
        made each time, as times and ids are, is what it was.
        """
        return _beside(self.whole, self.given, stored, self.fields)


def _beside(whole: Any, given: Any, stored: Any, fields: Mapping[str, Any]) -> Any:
    if isinstance(given, BaseModel):
        given = given.model_dump(exclude_unset=True, by_alias=True)
    if isinstance(whole, Mapping) and isinstance(given, Mapping) and isinstance(stored, Mapping):
        found = {}
        for name, value in whole.items():
            if name in given:
                found[name] = _beside(value, given[name], stored.get(name), {})
            elif name in stored:
                rule = fields.get(name)
                is_written = isinstance(rule, Mapping) and "default" in rule
                found[name] = value if is_written else stored[name]
        return found
    lists = isinstance(whole, list) and isinstance(given, list | tuple) and isinstance(stored, list)
    if lists and len(whole) == len(given) == len(stored):
        return [_beside(*each, {}) for each in zip(whole, given, stored, strict=True)]
    return whole


def is_same(one: Any, other: Any) -> bool:
    """Whether two values that were read from JSON are equal. Numbers are compared by value.

    >>> is_same({"a": [1, None]}, {"a": [1.0, None]}), is_same(1, True), is_same([1], [1, 2])
    (True, False, False)
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def require_same(what: str, given: Any, stored: Any) -> None:
    """Raise `KeyReused` unless what is given is what was stored with the same key.

    Raises `ValueError` if what is given is no JSON.
    """
    if not is_same(decoded(encoded(given)), stored):
        raise other_content(what, given, stored)


def other_content(what: str, given: Any, stored: Any) -> KeyReused:
    """The refusal, with both values."""
    return KeyReused(
        f"{what} was sent before with other content: {_shown(stored)}, and now {_shown(given)}. "
        "Send the same again, or something else with another key."
    )


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
