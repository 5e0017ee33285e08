"""What a unit says beforehand that it will need, so that a batch locks and reads it all at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from shared_state.write.sql import ClientKey, RowKey, RowRange
from shared_state.write.tables import Lookup
from shared_state.write.unit import Unit

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Needs:
    """Streams to lock, and what to read once they are."""

    streams: tuple[int, ...] = ()
    rows: tuple[RowKey, ...] = ()
    ranges: tuple[RowRange, ...] = ()
    keys: tuple[ClientKey, ...] = ()
    paths: tuple[str, ...] = ()
    """Of streams that the unit may make."""
    lookups: tuple[tuple[Lookup[Any], Hashable], ...] = ()
    tables: bool = False
    """Whether it reads tables by statements of its own: then what others left in memory is written first."""

    def __add__(self, other: Needs) -> Needs:
        """What both need."""
        return Needs(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Verb(Generic[T_co]):
    """A unit function that says what it needs, and changes nothing but through its unit: no ORM.

    So a batch needs no savepoint for it: if it fails, it is undone in memory. What it did not foresee it can
    still read; a stream that it did not foresee sends it into the next transaction, where that is locked.
    """

    run: Callable[[Unit], T_co]
    needs: Needs

    def __call__(self, unit: Unit) -> T_co:
        """Do it within a unit."""
        return self.run(unit)


NOTHING = Needs()


def needs_of(run: Callable[[Unit], Any] | None) -> Needs:
    """What a unit function said that it needs."""
    return run.needs if isinstance(run, Verb) else NOTHING


def together(verbs: Iterable[Callable[[Unit], Any]]) -> Callable[[Unit], list[Any]]:
    """One unit that does several things in order; a verb if all of them are."""
    steps = list(verbs)

    def run(unit: Unit) -> list[Any]:
        return [step(unit) for step in steps]

    def run_each(unit: Unit) -> list[Any]:
        results = []
        for step in steps:
            if not isinstance(step, Verb):
                unit.flush()
            results.append(step(unit))
        return results

    if not all(isinstance(step, Verb) for step in steps):
        return run_each
    needs = NOTHING
    for step in steps:
        needs += needs_of(step)
    return Verb(run, needs)
