"""What sockets ask for: who opens one, what they follow, and whether they still may. Answers are JSON."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user, get_user_model
from django.core.handlers.asgi import get_script_prefix
from django.http import HttpRequest
from django.utils.module_loading import import_string
from pydantic import BaseModel, Field, ValidationError

from shared_state import api
from shared_state.core.outage import outage
from shared_state.core.reconnect import AWAY
from shared_state.core.types import Json, Principal, StreamInfo, format_offset
from shared_state.exceptions import SharedStateError, Unavailable
from shared_state.live import codecs
from shared_state.live.codecs import encode_events
from shared_state.live.hub import Hub
from shared_state.live.send_queue import Expected, Feed, SendQueue, refusal
from shared_state.notify import bus

log = structlog.get_logger(__name__)
Frame = TypeVar("Frame", bound=BaseModel)
Operation = Callable[[Json], Awaitable[Json | None]]

MAX_FEEDS = 64
"""How many feeds one socket may have."""


_personal: set[str] = set()
_hub: Hub | None = None


class FrameError(SharedStateError):
    """A frame cannot be served; `code` says why in a word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def personal(prefix: str) -> None:
    """Say that everybody has a stream of their own, at the prefix and their principal.

    It may be followed by its owner before it is there, from its beginning: so a page needs not make it.
    """
    _personal.add(prefix)


# -- life


def hub() -> Hub:
    """The hub of this process; made at the first need if no server started it."""
    global _hub
    if _hub is None or not _hub.lives():
        if _hub is not None:
            _hub.abandon()  # its event loop ended without a word, as in a test
        _hub = Hub(encode_events, bus.default())
    return _hub


async def start() -> None:
    """Begin to listen for commits. Call it from the event loop that serves."""
    hub()


async def stop() -> None:
    """Tell the sockets to come back and end the hub and the bus."""
    global _hub
    ending, _hub = _hub, None
    if ending is not None and ending.lives():
        await ending.stop()
    elif ending is not None:
        ending.abandon()
    bus.stop()


# -- what sockets ask for


class Follow(BaseModel):
    """`follow`: feed me what comes after a cursor (or from now on, without one)."""

    id: int
    stream: str = Field(max_length=255, pattern=r"^[^\x00]+$")  # PostgreSQL knows no text with a NUL in it
    codec: str
    after: str | None = None


class Unfollow(BaseModel):
    """`unfollow`: end a feed."""

    id: int


def parse(model: type[Frame], frame: Json) -> Frame:
    """A frame as a model. Raises `FrameError` that names the field."""
    try:
        return model.model_validate(frame)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FrameError("malformed_frame", f"{place}: {first['msg']}") from None


async def follow(send_queue: SendQueue, principal: Principal, wanted: Follow) -> Json:
    """Start a feed; the answer is `following`, or `reset` if the page has to be loaded anew.

    One's own stream (`personal`) need not be there yet. Raises `StreamNotFound` for what else is not there
    and for what the principal may not read, `InvalidOffset`, and `FrameError` for an unknown codec or too
    many feeds. Send the answer before the next await: the feed's frames come after it.
    """
    if wanted.codec not in codecs.names():
        raise FrameError("unknown_codec", f"There is no codec {wanted.codec!r}.")
    after = None if wanted.after is None else api.parse_offset(wanted.after)
    stream = await hub().run(_followable, principal, wanted.stream, bool(after))
    unfollow(send_queue, wanted.id)
    if len(send_queue.feeds) + len(send_queue.expected) >= MAX_FEEDS:
        raise FrameError("too_many_feeds", f"One socket may follow {MAX_FEEDS} streams; unfollow one first.")
    if stream is None:
        owner = str(principal)
        hub().expect(Expected(wanted.id, send_queue, wanted.stream, owner, wanted.codec))
        return {"op": "following", "id": wanted.id, "cursor": format_offset(0)}
    start = stream.head if after is None else after
    if hub().follow(send_queue, wanted.id, stream, wanted.codec, start):
        return {"op": "following", "id": wanted.id, "cursor": format_offset(start)}
    return {"op": "reset", "id": wanted.id}


def leave(send_queue: SendQueue) -> None:
    """End all feeds of a socket."""
    if _hub is not None:
        _hub.leave(send_queue)


def unfollow(send_queue: SendQueue, ident: int) -> None:
    """End the feed with the client's number, if there is one."""
    for feed in tuple(send_queue.feeds.values()):
        if feed.id == ident:
            hub().unfollow(feed)
    for expected in tuple(send_queue.expected):
        if expected.id == ident:
            hub().forget(expected)


def _followable(principal: Principal, path: str, was_there: bool) -> StreamInfo | None:
    """The stream, or None if it is one's own and not there yet. Raises as `_readable`."""
    try:
        return _readable(principal, path)
    except api.StreamNotFound:
        if was_there or path not in {f"{prefix}{principal}" for prefix in _personal}:
            raise
    return None


def _readable(principal: Principal, path: str) -> StreamInfo:
    """The stream. What may not be read and what does not exist get the same words, whoever asks."""
    try:
        stream = api.get_stream(path)
    except api.StreamNotFound:
        raise api.StreamNotFound from None
    if not api.may(principal, "read", stream):
        raise api.StreamNotFound
    return stream


# -- who is there, and whether still


@dataclass(frozen=True, slots=True)
class Session:
    """Who opened a socket, and what their being signed in hangs on: a Django session, or local mode alone."""

    principal: Principal
    user: Any
    session_key: str


async def identify(scope: Mapping[str, Any], send_queue: SendQueue) -> Session:
    """Who opens a socket. Raises `AccessDenied` for nobody, `Unavailable` while the database is away."""
    codecs.mounted_at(get_script_prefix(scope) or "/")
    async with outage.ends_waiting():
        session = await hub().run(_identify, scope)
    hub().attach(send_queue)
    return session


def _identify(scope: Mapping[str, Any]) -> Session:
    user, session = scope.get("user"), scope.get("session")
    principal = api.principal_of(user)
    key = session.session_key if session is not None and SESSION_KEY in session else ""
    return Session(principal, getattr(user, "pk", None), key)


async def watch(session: Session, send_queue: SendQueue, seconds: float) -> None:
    """Look again and again who is there and what they may read; end the feeds that they may not.

    Returns when the session has ended or its user is gone. `seconds` is the longest time between two looks:
    pages that came back together after a restart do not ask together for ever.
    """
    while True:
        await asyncio.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311  to spread load, not to hide
        try:
            lost = await hub().run(_lost, session, tuple(send_queue.feeds.values()))
        except api.AccessDenied:
            return leave(send_queue)
        except Exception:  # a check that could not be made is made again; it must not end the watch
            log.exception("rights_not_rechecked")
        else:
            hub().drop([feed for feed in lost if feed.open], api.StreamNotFound())


def _lost(session: Session, feeds: Sequence[Feed]) -> list[Feed]:
    principal = api.principal_of(_current_user(session))
    return [feed for feed in feeds if not _still_readable(principal, feed.source.stream.path)]


def _still_readable(principal: Principal, path: str) -> bool:
    try:
        return bool(_readable(principal, path))
    except api.StreamNotFound:
        return False


def _current_user(session: Session) -> Any:
    """The session is read from its store: it may have ended, or its user changed the password."""
    if not session.session_key:
        return get_user_model()._default_manager.filter(pk=session.user).first()
    request = HttpRequest()
    request.session = import_string(f"{settings.SESSION_ENGINE}.SessionStore")(session.session_key)
    return get_user(request)


# -- answers


async def answer(
    operation: Operation, frame: Json, refusals: tuple[type[Exception], ...], *, waits: bool
) -> Json | None:
    """What a frame asked for. What it raises becomes an error frame, and the socket lives on.

    `waits`: whether for the database. While that is away, the answer is `unavailable`, within three seconds.
    """
    try:
        if not waits:
            return await operation(frame)
        async with outage.ends_waiting(queued=True):
            return await operation(frame)
    except refusals as error:
        return refusal(error, frame)
    except AWAY:
        log.exception("frame_failed", op=frame.get("op"))
        return refusal(Unavailable(), frame)
    except Exception:
        log.exception("frame_failed", op=frame.get("op"))
        return refusal(FrameError("internal_error", "Something went wrong here; it was logged."), frame)
