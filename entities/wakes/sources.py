"""What an entity can observe, and on what condition it wakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from entities.catalog.events import COLLECTIONS
from entities.exceptions import InvalidInput
from shared_state.api import CollectionSpec, SharedStateSchema

LONGEST = 315_360_000
"""The longest debounce, timeout or delay, in seconds."""
OPERATIONS = frozenset({"insert", "update", "delete"})
"""What the log says of a change."""


@dataclass(frozen=True)
class EntitySource:
    """The log of another entity, by its address `/{type}/{id}`."""

    url: str


@dataclass(frozen=True)
class DbSource:
    """A shared state by its id; `schema` is what the observer takes it to be."""

    id: str
    schema: SharedStateSchema | None = None

    @property
    def path(self) -> str:
        return f"shared:{self.id}"


def entity(url: str) -> EntitySource:
    """The entity at an address, as a source to observe."""
    return EntitySource(url)


def db(id: str, schema: SharedStateSchema | Mapping[str, Any] | None = None) -> DbSource:
    """A shared state by id. A schema that disagrees with the stored one is refused when it is observed."""
    return DbSource(id, SharedStateSchema.of(schema) if schema is not None else None)


@dataclass(frozen=True)
class RunFinished:
    """Wake when a run of the other entity completed or failed."""

    include_response: bool = True


@dataclass(frozen=True)
class Change:
    """Wake when rows changed.

    `collections` and `ops` narrow it; conditions that differ in them stand beside each other on one source.
    `debounce` fires that long after the last change, and never later than ten times that after the first;
    `timeout` fires even if nothing changed, and is the longest wait if something did. Both in seconds, or as
    a `timedelta`; they are replaced when the same rows are observed again.
    """

    collections: Sequence[str] | None = None
    ops: Sequence[str] | None = None
    debounce: float | timedelta | None = None
    timeout: float | timedelta | None = None

    def types(self, known: Mapping[str, CollectionSpec]) -> list[str] | None:
        """The event types behind the collections' names. Raises `InvalidInput` for an unknown name or op."""
        odd = [str(each) for each in self.ops or () if not isinstance(each, str) or each not in OPERATIONS]
        if odd:
            raise InvalidInput(
                f"Nothing ever changes by {', '.join(sorted(odd))}; ops are insert, update and delete."
            )
        if self.collections is None:
            return None
        # What an agent's own state or a shared one calls so comes before what is built in.
        found = COLLECTIONS | {name: spec.type for name, spec in known.items()}
        named = [self.collections] if isinstance(self.collections, str) else self.collections
        unknown = [str(name) for name in named if not isinstance(name, str) or name not in found]
        if unknown:
            raise InvalidInput(
                f"There is no collection {', '.join(unknown)}; there are {', '.join(sorted(found))}."
            )
        return sorted({found[name] for name in named})

    @property
    def operations(self) -> list[str] | None:
        """The operations that wake; `None` for all of them."""
        wanted = set(self.ops or ())
        return sorted(wanted) if 0 < len(wanted) < len(OPERATIONS) else None


Condition = RunFinished | Change
Source = EntitySource | DbSource


def milliseconds(value: float | timedelta | None) -> int | None:
    """Seconds or a `timedelta` as whole milliseconds. Raises `InvalidInput` if negative."""
    if value is None:
        return None
    if not isinstance(value, timedelta | int | float) or isinstance(value, bool):
        raise InvalidInput(f"{value!r:.200} is no time; give seconds, or a timedelta.")
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 0:
        raise InvalidInput(f"A time of {seconds} s lies in the past; it must be 0 or more.")
    if not seconds <= LONGEST:  # also what is no number
        raise InvalidInput(f"A time is at most {LONGEST:,} s (ten years), not {seconds} s.")
    return round(seconds * 1000)
