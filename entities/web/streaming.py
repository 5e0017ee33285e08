"""Texts while they are said: what each piece changes on the pages that show them.

What has been said up to a cursor is remembered, so that a push costs what is new. A process that does not
remember it, or a reader that comes from further back, reads the deltas again, once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from entities.catalog import partial_text
from shared_state.api import Event, StreamInfo, committed, read
from shared_state.html.changes import Change, Grow, Text
from shared_state.html.dom import dom_id
from shared_state.html.excerpt import TEXT, excerpt, piece
from shared_state.html.growing import Growing, Step
from shared_state.html.partials import partial

MOST_CURSORS = 4
"""At how many cursors of one stream texts are remembered: of those who keep up, and of one who catches up."""
MOST_CHARACTERS, MOST_STREAMS = 32_000_000, 4_000
"""How much is remembered in all."""

_Said = Mapping[str, Growing | None]
"""Key of a text that is being said → what it is so far; `None` for one that cannot be known."""


class _Remembered:
    """What is being said, by stream and cursor. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: OrderedDict[int, dict[int, _Said]] = OrderedDict()
        self._weight = 0

    def at(self, stream: int, cursor: int) -> dict[str, Growing | None]:
        """The texts that are being said at a cursor, as far as they are remembered."""
        with self._lock:
            return dict(self._streams.get(stream, {}).get(cursor, {}))

    def keep(self, stream: int, cursor: int, said: _Said) -> None:
        """Remember them."""
        with self._lock:
            cursors = self._streams.pop(stream, {})
            self._weight -= _weight(cursors)
            if said:
                cursors.pop(cursor, None)
                cursors[cursor] = said
            else:  # nothing is being said any more
                cursors = {at: before for at, before in cursors.items() if at > cursor}
            while len(cursors) > MOST_CURSORS:
                newest = max(cursors)
                del cursors[next(at for at in cursors if at != newest)]
            if cursors:
                self._streams[stream] = cursors
                self._weight += _weight(cursors)
            while len(self._streams) > 1 and self._is_full():
                self._weight -= _weight(self._streams.popitem(last=False)[1])

    def _is_full(self) -> bool:
        return self._weight > MOST_CHARACTERS or len(self._streams) > MOST_STREAMS


def _weight(cursors: Mapping[int, _Said]) -> int:
    """How much is held. The cursors of a stream share most of it."""
    if not cursors:
        return 0
    return sum(100 + text.weight for text in cursors[max(cursors)].values() if text is not None)


_remembered = _Remembered()


class Batch:
    """The texts that events of a stream go on with, from the first of the events to the last."""

    def __init__(self, stream: StreamInfo, events: Sequence[Event]) -> None:
        self._stream = stream
        self._end = events[-1].offset
        self._said = _remembered.at(stream.id, events[0].offset - 1)
        ended = {event.key for event in events if event.type == "text" and is_complete(event)}
        self._whole = {
            event.key for event in events if event.type == "text" and event.operation == "insert"
        } & ended
        """Begun and complete in these events: nobody has seen anything of them."""

    def row(self, event: Event) -> list[Change] | None:
        """What an event of a text changes, if it is not to be put anew; `None` if it is."""
        if event.operation == "insert" and not is_complete(event):
            self._said[event.key] = Growing()
            return None
        said = self._said.pop(event.key, None)
        if said is None or event.key in self._whole or event.operation != "update" or not is_complete(event):
            return None
        content = event.value.get("content") or ""
        if excerpt(content, TEXT).left:
            return None
        step = said.complete(content)
        return [Grow(dom_id("text", self._stream.id, event.key), step.keep, step.html, step.into, -1)]

    def piece(self, event: Event) -> list[Change]:
        """What a piece of a text changes: it is appended, and what is whole with it becomes prose."""
        key, start = event.value["text_id"], event.value.get("start", 0)
        delta = piece(event.value["delta"], start)
        if key in self._whole or not delta:
            return []
        if key not in self._said:
            self._said[key] = self._read_again(key, event.offset) if start else Growing()
        steps: list[Step] = []
        if (said := self._said[key]) is not None:
            if said.length == start:
                self._said[key], steps = said.more(delta)
            else:
                self._said[key] = None
        text = Text(dom_id("textraw", self._stream.id, key), delta, start)
        return [text, *self._grown(key, steps)]

    def remember(self) -> None:
        """Keep what was said for who goes on at the end of these events."""
        _remembered.keep(self._stream.id, self._end, self._said)

    def _grown(self, key: str, steps: Sequence[Step]) -> list[Change]:
        target = dom_id("text", self._stream.id, key)
        return [
            Grow(target, step.keep, step.html, step.into, step.begin, self._tail(key, step)) for step in steps
        ]

    def _tail(self, key: str, step: Step) -> str:
        """The element that what is being written stands in, if it is another from here on; still empty."""
        if not step.new_tail:
            return ""
        shell = tail_of(self._stream.id, key, step.language, step.begin)
        return partial("entities/timeline/items/text_tail.html", shell)

    def _read_again(self, key: str, before: int) -> Growing | None:
        """What had been said of a text before an offset; `None` if that was taken back."""
        row = committed.row(self._stream.id, "text", key)
        if row is None or row.created >= before:
            return None
        return Growing.of(piece(partial_text.said(read, self._stream.id, row, before - 1), 0))


def is_complete(event: Event) -> bool:
    """Whether a text is complete with an event."""
    return bool(event.value and event.value.get("status") == "completed")


def tail_of(stream: int, key: str, language: str | None, begin: int, text: str = "") -> dict[str, Any]:
    """What the template of a text that is being written is given."""
    return {
        "raw_id": dom_id("textraw", stream, key),
        "in_code": language is not None,
        "language": language,
        "begin": begin,
        "tail": text,
    }
