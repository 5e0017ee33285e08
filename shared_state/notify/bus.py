"""Hints after a commit: straight to this process's listeners, through the channel layer to other processes.

A hint says that a stream moved, a nudge that a worker may have something to do. Both may be lost, doubled or
late: whoever listens holds a cursor in the database and polls now and then. So nothing here waits, nothing
is stored beyond the newest head of each stream, and no failure reaches the writer, whose change is
committed by then.

Between processes the hints of a stream go to the group `stream.<id>`, which a process joins while somebody
in it follows that stream. A nudge is for one worker: one of this process that has room, else one of another
(see `room`); if nobody is known to take work, it goes to the group `workers`. A nudge with a colon says
something that concerns a certain run, so it goes to all of them. The in-memory layer reaches nobody else, so
it is not used at all.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import structlog
from channels.layers import InMemoryChannelLayer, get_channel_layer

from shared_state.core.types import Event, Hint
from shared_state.notify.link import WORKERS, Link, Listener, group_of

log = structlog.get_logger(__name__)

Watcher = Callable[[Sequence[Hint], Sequence[Event]], None]
"""Called with hints and, if they were appended in this process, the events; it must be quick."""

Room = Callable[[], int]
"""How much work a listener would take just now; called in any thread."""


class Bus:
    """Listeners in this process, and the link to the others. Safe in any thread."""

    def __init__(self) -> None:
        self._listeners: tuple[tuple[Listener, Room | None], ...] = ()
        self._watchers: tuple[Watcher, ...] = ()
        self._groups: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._link: Link | None = None

    def publish(
        self, hints: Sequence[Hint], nudges: Sequence[str] = (), events: Sequence[Event] = ()
    ) -> None:
        """Announce what was committed. Never blocks, never raises."""
        taken = self._deliver(hints, nudges, events)
        for_all = _for_all(nudges)
        for_one = [] if taken else [nudge for nudge in nudges if nudge not in for_all]
        self._guarded(self._forward, hints, for_all, for_one)

    def listen(self, callback: Listener, room: Room | None = None) -> None:
        """Call `callback` with every announcement of this process, and with other processes' nudges.

        One that says how much `room` it has gets only those nudges for one worker that it is chosen for.
        """
        with self._lock:
            self._listeners = (*self._listeners, (callback, room))
        self._join(WORKERS)
        self._announce_room()

    def unlisten(self, callback: Listener) -> None:
        """Undo `listen`."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one[0] != callback)
        self._leave(WORKERS)
        self._announce_room()

    def room(self) -> int | None:
        """How much work this process would take just now; `None` if it takes none at all."""
        rooms = [room() for _, room in self._listeners if room is not None]
        return sum(max(0, room) for room in rooms) if rooms else None

    def watch(self, callback: Watcher) -> None:
        """Call `callback` with this process's hints and events, and with the hints of joined streams."""
        with self._lock:
            self._watchers = (*self._watchers, callback)

    def unwatch(self, callback: Watcher) -> None:
        """Undo `watch`."""
        with self._lock:
            self._watchers = tuple(one for one in self._watchers if one != callback)

    def join(self, stream: int) -> Future[None]:
        """Hear other processes' hints about a stream from now on; done when they can reach us."""
        return self._join(group_of(stream))

    def leave(self, stream: int) -> None:
        """Undo one `join`."""
        self._leave(group_of(stream))

    def reach(self) -> Future[None]:
        """Send something to nobody, the way hints go: done when the layer took it, failed if it did not."""
        link = self._linked()
        return link.reach() if link is not None else _done()

    def stop(self) -> None:
        """End the link's thread; the next announcement makes another."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.stop()

    def _deliver(self, hints: Sequence[Hint], nudges: Sequence[str], events: Sequence[Event] = ()) -> bool:
        """Tell those of this process. Returns whether one of them took the nudges for one worker."""
        # Watchers first: a person waits for them.
        for watcher in self._watchers:
            self._guarded(watcher, hints, events)
        for_all = _for_all(nudges)
        chosen = self._with_room() if len(for_all) < len(nudges) else None
        for listener, room in self._listeners:
            hears_all = room is None or listener == chosen
            self._guarded(listener, hints, nudges if hears_all else for_all)
        return chosen is not None

    def _with_room(self) -> Listener | None:
        """The listener here that has the most room, if any has."""
        rooms = [(room(), listener) for listener, room in self._listeners if room is not None]
        most, chosen = max(rooms, key=lambda pair: pair[0], default=(0, None))
        return chosen if most > 0 else None

    def _forward(self, hints: Sequence[Hint], for_all: Sequence[str], for_one: Sequence[str]) -> None:
        link = self._linked()
        if link is not None:
            link.publish(hints, for_all, for_one)

    def _announce_room(self) -> None:
        link = self._link
        if link is not None:
            link.announce_room()

    def _guarded(self, callback: Callable[..., None], *said: Sequence[Any]) -> None:
        try:
            callback(*said)
        except Exception:  # what was committed must not look failed to the one who wrote it
            log.exception("hint_not_taken", callback=repr(callback))

    def _join(self, group: str) -> Future[None]:
        with self._lock:
            self._groups[group] += 1
        link = self._linked()
        return link.join(group) if link is not None else _done()

    def _leave(self, group: str) -> None:
        with self._lock:
            self._groups[group] -= 1
            gone = self._groups[group] <= 0
            if gone:
                del self._groups[group]
            link = self._link
        if gone and link is not None:
            link.leave(group)

    def _linked(self) -> Link | None:
        """The link over the configured layer; made at the first need, made anew when the layer changes."""
        layer = get_channel_layer()
        if self._link is not None and self._link.serves(layer):
            return self._link
        remote = layer is not None and not isinstance(layer, InMemoryChannelLayer)
        with self._lock:
            old, self._link = self._link, None
            if remote:
                self._link = Link(layer, self._deliver, self.room, list(self._groups))
            link = self._link
        if old is not None:
            old.stop()
        return link


def _for_all(nudges: Sequence[str]) -> list[str]:
    """Those that concern a certain run: whoever runs it must hear."""
    return [nudge for nudge in nudges if ":" in nudge]


def _done() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


_bus = Bus()
publish, listen, unlisten, stop = _bus.publish, _bus.listen, _bus.unlisten, _bus.stop


def default() -> Bus:
    """The bus of this process."""
    return _bus
