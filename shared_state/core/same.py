"""Whether two values are the same JSON. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from shared_state.core.json_text import decoded, encoded
from shared_state.exceptions import KeyReused

SHOWN = 300
"""How many characters of a value an error shows."""


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
