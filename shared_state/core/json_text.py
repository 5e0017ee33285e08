"""JSON in and out, by one set of bounds at every door: what is taken can be stored, read back and sent.

What writes JSON goes less deep than what reads it, and wraps what it is given: a value that was taken just
within its bound made the log that held it unreadable. Python's numbers go further than JSON's here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from shared_state.core.types import holds_nul, is_storable

MAX_DEPTH = 100
"""How many arrays and objects may lie in each other. An answer and a frame put a few more around them."""

SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""The integers that JSON is written with here."""

_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 19
"""How a number looks, its digits made zeros, that may be too large; to look for that costs nearly nothing."""
_SHOWN = 40
_LEAVES = (str, int, float, type(None))


def encoded(value: Any) -> bytes:
    """A value as JSON. Raises `ValueError`, with the place and the reason, for what is none or out of bounds.

    >>> encoded({"a": [1, "ü"]}).decode()
    '{"a":[1,"ü"]}'
    """
    try:
        data = orjson.dumps(value)
    except TypeError as error:
        found = fault(value)
        raise ValueError(found or f"not JSON: {error}") from None
    # What is not to be written, or was written as something else, shows in the text: few values are walked.
    nul = holds_nul(data)
    suspect = nul or (data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deep(value))
    if suspect or (b"null" in data and _holds_no_number((value,))):
        if found := fault(value):
            raise ValueError(found)
        if nul:  # in something that is no plain JSON, such as a data class
            raise ValueError("a NUL character cannot be stored")
    return data


def _is_deep(value: Any) -> bool:
    """Whether a value is nested beyond the bound, or holds what is not looked into here."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [each for each in level if not isinstance(each, _LEAVES)]
        if not level:
            return False
        within: list[Any] = []
        for each in level:
            if not isinstance(each, Mapping | list | tuple):
                return True
            within += each.values() if isinstance(each, Mapping) else each
        level = within
    return True


def _holds_no_number(values: Iterable[Any]) -> bool:
    """Whether a NaN or an infinity is in values that are not deep: either is written as null, as `None` is.

    Asked of nearly every event, since most have a field that is `None`; so it is quick about what is common.
    """
    for value in values:
        if value is None or type(value) is str:
            continue
        if isinstance(value, float):
            if not math.isfinite(value):
                return True
        elif isinstance(value, dict):
            if _holds_no_number(value.values()):
                return True
        elif isinstance(value, list | tuple) and _holds_no_number(value):
            return True
    return False


def decoded(text: bytes | str) -> Any:
    """The value of a JSON text. Raises `ValueError`, with the reason, for what is none or out of bounds.

    >>> decoded("[1, 2.5]")
    [1, 2.5]
    """
    value = orjson.loads(text)  # its error is a `ValueError`
    data = text.encode() if isinstance(text, str) else text
    deep = data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deep(value)
    if deep and (found := fault(value, text=False)):
        raise ValueError(found)
    # This reader rounds what is too long for it.
    if _LONG_NUMBER in data.translate(_DIGITS) and (found := fault(json.loads(data), text=False)):
        raise ValueError(found)
    return value


def fault(value: Any, *, text: bool = True) -> str:
    """What of a value JSON cannot carry, and where; empty if nothing. As `fault_at`, in one text.

    >>> fault({"a": [1, float("nan")]})
    'a.1: nan is no number that JSON knows'
    """
    place, why = fault_at(value, text=text)
    return f"{place}: {why}" if place else why


def fault_at(value: Any, *, text: bool = True) -> tuple[str, str]:
    """Where a value has what JSON cannot carry, as a dotted path, and why; both empty if nowhere.

    `text`: look into texts, too. What is neither a text, a number, a list nor a mapping is passed over.
    """
    level: list[tuple[str, Any]] = [("", value)]
    for _ in range(MAX_DEPTH + 1):
        within: list[tuple[str, Any]] = []
        for place, each in level:
            if said := _fault_of(each, text):
                return place.removeprefix("."), said
            if isinstance(each, Mapping):
                within += [(f"{place}.{name!s:.{_SHOWN}}", one) for name, one in each.items()]
            elif isinstance(each, list | tuple):
                within += [(f"{place}.{number}", one) for number, one in enumerate(each)]
        if not within:
            return "", ""
        level = within
    return "", f"it is nested more than {MAX_DEPTH} deep"


def _fault_of(value: Any, text: bool) -> str:
    if isinstance(value, str):
        return "" if not text or is_storable(value) else "a NUL or half a surrogate pair cannot be stored"
    if isinstance(value, int):
        beyond = not SMALLEST <= value <= LARGEST
        return f"an integer of {value.bit_length()} bits is too large; write it as a text" if beyond else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is no number that JSON knows"
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes are no JSON; write them as a text"
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                return f"the key {name!r:.{_SHOWN}} is no text"
            if text and not is_storable(name):
                return f"the key {name!r:.{_SHOWN}} cannot be stored"
    return ""
