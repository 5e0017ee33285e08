"""Who has room for work: what the processes that listen say of themselves, each second.

So that a nudge wakes one worker and not all of them. What is known here may be old; a worker that was chosen
for nothing passes the nudge on, and a poll covers what was lost.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

ANNOUNCE_SECONDS = 1.0
"""How often a process says how much room it has."""
STALE_SECONDS = 3.5 * ANNOUNCE_SECONDS
"""After how long somebody who says nothing more is forgotten."""


@dataclass(slots=True)
class _Place:
    channel: str
    room: int
    heard: float


class Rooms:
    """Of other processes. For use by one thread."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def hear(self, process: str, channel: str, room: int | None) -> None:
        """Note what a process said of itself; `None`: it takes no work any more."""
        if room is None:
            self._places.pop(process, None)
        else:
            self._places[process] = _Place(channel, room, time.monotonic())

    @property
    def anybody(self) -> bool:
        """Whether anybody takes work at all, as far as is known."""
        self._forget()
        return bool(self._places)

    def choose(self) -> str | None:
        """The channel of somebody with room, the likelier the more there is; there is less of it then."""
        self._forget()
        free = [place for place in self._places.values() if place.room > 0]
        if not free:
            return None
        (chosen,) = random.choices(free, weights=[place.room for place in free])  # noqa: S311  nothing secret
        chosen.room -= 1
        return chosen.channel

    def _forget(self) -> None:
        oldest = time.monotonic() - STALE_SECONDS
        self._places = {name: place for name, place in self._places.items() if place.heard >= oldest}
