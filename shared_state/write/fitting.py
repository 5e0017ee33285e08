"""Whether an event can be stored, and what it does to the row that is there. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import orjson

from shared_state.core.json_text import encoded
from shared_state.core.types import NewEvent, Provenance, is_storable
from shared_state.exceptions import InvalidRow, RowExists, RowNotFound, TooLarge, VersionConflict
from shared_state.write.statements import Values

VALUE, CREATED, VERSION, CREATED_AT = 3, 4, 5, 6
"""Places in a row's tuple: `sql.ROW_COLUMNS`."""


def check(events: Iterable[NewEvent], provenance: Provenance) -> None:
    """Refuse what the tables cannot hold, before it is on its way. Raises `InvalidRow`."""
    for new in events:
        _check("type", new.type, 100)
        _check("key", new.key, 255)
        if new.client_key:
            _check("client key", new.client_key, 255)
    _check_provenance(provenance)


@lru_cache(maxsize=1024)  # one writer appends again and again; what is refused is not remembered
def _check_provenance(provenance: Provenance) -> None:
    _check("writer", provenance.writer, 255)
    for name, text, most in (
        ("wake", provenance.wake, 64),
        ("run", provenance.run, 64),
        ("tool call", provenance.tool_call, 128),
    ):
        if text:
            _check(name, text, most)


def _check(name: str, text: str, most: int) -> None:
    if not isinstance(text, str) or not 0 < len(text) <= most:
        raise InvalidRow(f"The {name} of an event is a text of 1 to {most} characters, not {text!r:.300}.")
    if not is_storable(text):
        raise InvalidRow(f"The {name} of an event holds a character that cannot be stored: {text!r:.300}.")


def text_of(new: NewEvent, max_bytes: int) -> str:
    """The value as the log stores it. Raises `InvalidRow`, `TooLarge`."""
    try:
        data = encoded(new.value)
    except ValueError as error:
        raise InvalidRow(f"{new.type} {new.key!r} is not JSON that can be kept: {error}.") from None
    if len(data) > max_bytes:
        raise TooLarge(f"{new.type} {new.key!r} is {len(data):,} bytes; one event may carry {max_bytes:,}.")
    if data[:1] != b"{":
        raise InvalidRow(
            f"{new.type} {new.key!r} must be a JSON object, not {data[:40].decode(errors='replace')}."
        )
    return data.decode()


def resolve(new: NewEvent, current: Values | None) -> str:
    """The operation that the log will hold. Raises if the row's presence or version forbids it."""
    if new.expect_version is not None:
        version = current[VERSION] if current else 0
        if version != new.expect_version:
            raise VersionConflict(
                f"{new.type} {new.key!r} is at version {version}, not {new.expect_version}: "
                "it changed since it was read.",
                current=orjson.loads(current[VALUE]) if current else None,
                version=version,
            )
    if not new.fold:
        return "insert"
    if new.operation == "upsert":
        return "insert" if current is None else "update"
    if new.operation == "insert" and current is not None:
        raise RowExists(
            f"There is a {new.type} with key {new.key!r} already; update it, or choose another key."
        )
    if new.operation != "insert" and current is None:
        raise RowNotFound(f"There is no {new.type} with key {new.key!r} to {new.operation}.")
    return new.operation
