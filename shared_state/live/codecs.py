"""Codecs: what turns the events of a stream into changes for whoever follows it, and changes into frames.

A *codec* is a pure function of events, registered under the name that clients ask for. One that renders uses
the same template partials as the page, so that replaying the events gives the page that reloading gives. It
runs in the hub's threads. Nothing here knows what a change is but that it can be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from django.urls import set_script_prefix

from shared_state.core import budget
from shared_state.core.types import Event, StreamInfo, format_offset
from shared_state.live.send_queue import encode

log = structlog.get_logger(__name__)

FRAME_CHARACTERS = 256 * 1024
"""Encoded events are sent in several frames when they are more than this; servers refuse very large ones."""
MOST_CHARACTERS = 2_000_000
"""What is more than this at once is not sent: a page that is loaded anew is smaller."""
SILENT_EVENTS = 100
"""A codec that shows none of so many events still tells its clients the cursor, so they never fall behind."""


class Change(Protocol):
    """What a codec makes of events."""

    def wire(self) -> list[Any]:
        """As it is sent: any JSON."""
        ...


Codec = Callable[[StreamInfo, Sequence[Event]], Sequence[Change]]
C = TypeVar("C", bound=Codec)

_codecs: dict[str, Codec] = {}
_prefix = "/"
"""Where the server has mounted this process: what addresses in pushes begin with, as those of pages do."""


def codec(name: str) -> Callable[[C], C]:
    """Register a codec. Raises `ValueError` if the name is taken by another function."""

    def register(function: C) -> C:
        if _codecs.setdefault(name, function) is not function:
            raise ValueError(f"There are two codecs {name!r}: {_codecs[name]!r} and {function!r}.")
        return function

    return register


def names() -> set[str]:
    """The codecs that may be asked for."""
    return set(_codecs)


def mounted_at(prefix: str) -> None:
    """Say where the server has mounted this process."""
    global _prefix
    _prefix = prefix


def encode_events(name: str, stream: StreamInfo, after: int, events: Sequence[Event]) -> list[str] | None:
    """Events as frames, each ending at the cursor it carries; None if the codec fails or says too much.

    Raises `NotAtOnceError` where what takes long is refused.
    """
    set_script_prefix(_prefix)  # Django sets it in the threads of requests; this is one of the hub's
    try:
        with budget.on_behalf_of(stream):
            changes = _codecs[name](stream, events)
    except budget.NotAtOnceError:
        raise
    except Exception:  # one codec's fault must not stop the others; its clients reload from the server
        log.exception("codec_failed", codec=name, stream=stream.path, after=after)
        return None
    end = events[-1].offset
    if not changes and after // SILENT_EVENTS == end // SILENT_EVENTS:
        return []
    frame = _patch(name, stream, end, changes)
    if len(frame) > MOST_CHARACTERS:
        return None
    if len(frame) <= FRAME_CHARACTERS or len(events) == 1:
        return [frame]
    half = len(events) // 2
    first = encode_events(name, stream, after, events[:half])
    second = encode_events(name, stream, events[half - 1].offset, events[half:])
    return None if first is None or second is None else first + second


def _patch(name: str, stream: StreamInfo, cursor: int, changes: Sequence[Change]) -> str:
    return encode(
        {
            "op": "patch",
            "stream": stream.path,
            "codec": name,
            "cursor": format_offset(cursor),
            "changes": [change.wire() for change in changes],
        }
    )
