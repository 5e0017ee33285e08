"""Events of the catalogue, ready to append: validated, and log-only ones kept out of the rows."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from entities.catalog.events import EVENTS, LOG_ONLY
from entities.catalog.sanitize import tidied
from entities.exceptions import InvalidInput
from shared_state.core.types import NewEvent

_TIMED = frozenset(type for type, event in EVENTS.items() if "timestamp" in event.model_fields)


@lru_cache(maxsize=1024)  # a transaction says its own time in each of its events
def iso(moment: datetime) -> str:
    """A time as the log writes it, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def new(
    type: str, key: str, value: dict[str, Any], operation: Any = "insert", *, client_key: str = ""
) -> NewEvent:
    """An event of the catalogue; its `timestamp`, if it has one, is now unless the value says otherwise.

    Its texts are made fit to be kept, whoever wrote them. Raises `InvalidInput` if the value does not fit its
    class.

    >>> new("tags", "colour", {"value": "blue"})  # doctest: +ELLIPSIS
    NewEvent(type='tags', ...)
    """
    found = EVENTS[type]
    value = {**tidied(value), "key": key}
    if type in _TIMED and "timestamp" not in value:
        value["timestamp"] = iso(datetime.now(UTC))
    try:
        whole = found.model_validate(value).model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"A {type} event needs a valid {where!r}: {first['msg']}") from None
    except ValueError as error:  # it holds something, somewhere, that is no JSON
        raise InvalidInput(f"A {type} event cannot hold this: {error!s:.300}") from None
    return NewEvent(type, key, whole, operation, client_key, fold=type not in LOG_ONLY)
