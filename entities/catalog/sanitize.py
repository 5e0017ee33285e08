"""Texts that others wrote, made fit to be kept: a run must not fail over what a model or a tool said."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic_core import to_json, to_jsonable_python

from shared_state.core.json_text import MAX_DEPTH, encoded, fault

MAX_TEXT = 120_000
"""How many bytes of what a model says in one go are kept. JSON may double them, and an event has a limit."""

MAX_COMPLAINT = 4_000
"""How many bytes of an error's message are kept. A longer one is cut: it must not be the next error."""


FITTED_DEPTH = MAX_DEPTH // 2
"""How deep a value may be that is made to fit: it is kept within others."""


def storable(text: str) -> str:
    """The same without what no database keeps: a NUL, half a pair of surrogates.

    >>> storable("a\\x00b")
    'a\\ufffdb'
    """
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def shortened(text: str, most: int) -> str:
    """The text, or as much of it as `most` bytes hold, and a note that it was cut.

    >>> shortened("four words are here", 10)
    'four words [Cut here: 10 of 19 characters.]'
    """
    kept = text.encode("utf-8", "replace")[:most].decode(errors="ignore")
    if len(kept) == len(text):
        return text
    return f"{kept} [Cut here: {len(kept):,} of {len(text):,} characters.]"


def said(error: BaseException, *, named: bool = False) -> str:
    """What an error says, within bounds; its class's name if it says nothing, or cannot, or if `named`."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001  it is foreign: an error, or an exit, in its words is no news
        text = ""
    name = type(error).__name__
    return shortened(storable(f"{name}: {text}" if named and text else text or name), MAX_COMPLAINT)


def fitted(value: Any, most: int = MAX_TEXT) -> Any:
    """Any value as JSON that can be kept, of about `most` bytes; what cannot is said in words in its place.

    >>> fitted({"a": b"x", 1: [float("inf"), 2**70, "b\\x00"]})
    {'a': 'x', '1': ['Infinity', '1180591620717411303424', 'b\ufffd']}
    """
    fit = _Fitting(most)
    return fit.value(value, 0)


class _Fitting:
    """One value on its way, and how much room is left."""

    def __init__(self, most: int) -> None:
        self._left = most

    def value(self, value: Any, depth: int) -> Any:
        """The part that lies so deep."""
        if depth >= FITTED_DEPTH:
            return f"[Cut here: it is nested more than {FITTED_DEPTH} deep.]"
        self._left -= 2
        if value is None or isinstance(value, bool):
            return value
        if type(value) in (int, float) and not fault(value):
            self._left -= 8
            return value
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(value, depth)
        return self._text(value)

    def _text(self, value: Any) -> str:
        text = shortened(storable(_words(value)), max(0, self._left))
        self._left -= len(text)
        return text

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, each in value.items():
            if self._left <= 0:
                found["…"] = f"[Cut here: {len(found):,} of {len(value):,} entries.]"
                break
            found[self._text(name)] = self.value(each, depth + 1)
        return found

    def _items(self, value: Collection[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        for each in value:
            if self._left <= 0:
                found.append(f"[Cut here: {len(found):,} of {len(value):,}.]")
                break
            found.append(self.value(each, depth + 1))
        return found


def _words(value: Any) -> str:
    """A value that JSON has no form for, as a text."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    try:
        plain = to_jsonable_python(value, inf_nan_mode="strings")
        return plain if isinstance(plain, str) else to_json(plain).decode()
    except BaseException:  # noqa: BLE001  it is foreign
        return _said_by(value)


def _said_by(value: Any) -> str:
    try:
        return str(value)
    except BaseException:  # noqa: BLE001  it is foreign
        return f"({type(value).__name__})"


def called_with(raw: str) -> dict[str, Any]:
    """The arguments of a call as a model wrote them. Raises `ValueError`, in words for the model.

    >>> called_with('{"n": 1}')
    {'n': 1}
    """
    try:
        found = json.loads(raw)
    except RecursionError:
        raise ValueError(f"they are nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        raise ValueError(f"they are not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("they are not a JSON object")  # noqa: TRY004  a text's fault, not a caller's
    require_arguments(found)
    return tidied(found)  # type: ignore[no-any-return]


def require_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise `ValueError`, in words for the model, if a call with these arguments cannot be kept."""
    if said := fault(arguments, text=False):
        raise ValueError(said)
    try:
        size = len(encoded(tidied(arguments)))
    except ValueError as error:
        raise ValueError(str(error)) from None
    if size > MAX_TEXT:
        raise ValueError(f"they are {size:,} bytes long; {MAX_TEXT:,} are allowed")


def tidied(value: Any, depth: int = 0) -> Any:
    """JSON with the same values, and texts that can be kept; what lies too deep to be kept stays as it is."""
    if isinstance(value, str):
        return value if value.isascii() and "\x00" not in value else storable(value)
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, dict):
        return {tidied(name): tidied(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [tidied(each, depth + 1) for each in value]
    return value
