"""JSON as people read it, within bounds. No Django here."""

from __future__ import annotations

from typing import Any

import orjson

WIDEST = 4
"""How many times as long as JSON its blanks may be; there are more of them the deeper it is nested."""
SMALL = 4_000
"""Bytes of blanks that are shown in any case."""


def pretty(value: Any) -> str:
    """JSON, indented if that does not make it a multiple; a text that is JSON counts as what it says.

    >>> print(pretty('{"a": [1]}'))
    {
      "a": [
        1
      ]
    }
    >>> pretty("[" * 600 + "]" * 600)[:4]
    '[[[['
    """
    if isinstance(value, str):
        try:
            return indented(orjson.loads(value), value)
        except orjson.JSONDecodeError:
            return value
    return indented(value)


def indented(value: Any, text: str = "") -> str:
    """A value as JSON. `text` is what it was read from, if it was: a parser goes deeper than what writes."""
    try:
        plain = orjson.dumps(value, default=str)
    except orjson.JSONEncodeError:
        return text or repr(value)
    if _blanks(value) > SMALL + WIDEST * len(plain):
        return plain.decode()
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()


def _blanks(value: Any) -> int:
    """How many blanks indenting would add."""
    found, depth, level = 0, 0, [value]
    while level:
        depth += 1
        inside: list[Any] = []
        for each in level:
            if isinstance(each, dict | list | tuple):
                found += 2 * depth * len(each) + 2 * (depth - 1)
                inside += each.values() if isinstance(each, dict) else each
        level = inside
    return found
