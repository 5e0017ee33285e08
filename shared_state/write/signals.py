"""Exactly one signal: a lower app tells an upper one what was appended, inside the transaction.

`events_appended` is sent in the thread that runs the unit, after its own changes and before the commit, only
for streams that somebody observes. Arguments: `unit` (the open `Unit`; receivers may append and use the ORM)
and `events` (a list of `Event`). A receiver that raises undoes the unit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.dispatch import Signal


class AppendSignal(Signal):
    """A signal whose receivers may say that they keep to the rules of a `Verb`: no ORM.

    As long as all do, units whose appends are observed need no savepoint for them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._whole: set[Any] = set()

    def listen(self, receiver: Callable[..., Any], *, dispatch_uid: str) -> None:
        """Connect a receiver that uses nothing but its unit."""
        self.connect(receiver, dispatch_uid=dispatch_uid, weak=False)
        self._whole.add(dispatch_uid)

    @property
    def whole(self) -> bool:
        """Whether all receivers use nothing but their unit."""
        return len(self.receivers) <= len(self._whole)


events_appended = AppendSignal()
