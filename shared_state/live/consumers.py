"""The websocket of a page: one for each page, carrying all its feeds."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from shared_state.conf import conf
from shared_state.core.json_text import decoded
from shared_state.core.reconnect import AWAY
from shared_state.core.types import Json, Principal
from shared_state.exceptions import AccessDenied, SharedStateError, Unavailable
from shared_state.live import session
from shared_state.live.send_queue import SendQueue, encode, refusal
from shared_state.live.sign_in import SERVER_ERROR

SIGN_IN = 4401  # websocket close code: nobody is signed in (any more)


class LiveConsumer(AsyncConsumer):
    """Follow and unfollow streams. A subclass adds operations as methods `op_<name>(frame)`.

    An operation returns its answer or None, and raises one of `refusals` to refuse. Frames of one socket are
    served one after the other, so an operation makes one awaited call and returns.
    """

    # The hub brings everything; a channel for each socket would be a subscription of its own in Redis.
    channel_layer_alias = "none"

    refusals: ClassVar[tuple[type[Exception], ...]] = (SharedStateError,)
    without_database: ClassVar[frozenset[str]] = frozenset({"unfollow"})
    """Operations that are done whether or not the database can be reached."""
    recheck_seconds: ClassVar[float] = 45.0
    """How long at the most until session and grants are looked at again."""

    principal: Principal
    send_queue: SendQueue

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket; leave nothing behind however it ends."""
        self.send_queue = SendQueue()
        self._tasks: list[asyncio.Task[None]] = []
        try:
            await super().__call__(scope, receive, _unwrapped(send))
        finally:
            session.leave(self.send_queue)
            for task in self._tasks:
                task.cancel()

    async def dispatch(self, message: Json) -> None:
        """Hand a message to its method. No connection is used in this thread, so there is none to close."""
        await getattr(self, message["type"].replace(".", "_"))(message)

    async def websocket_connect(self, message: Json) -> None:
        """Accept; close at once unless somebody is signed in, with a code that the page can tell."""
        await self.send({"type": "websocket.accept"})
        try:
            who = await session.identify(self.scope, self.send_queue)
        except AccessDenied:
            self.send_queue.close(SIGN_IN)
        except (Unavailable, *AWAY):
            self.send_queue.close(SERVER_ERROR)
        else:
            self.principal = who.principal
            self._tasks.append(asyncio.create_task(self._watch(who)))
        self._tasks.append(asyncio.create_task(self._write()))

    async def websocket_receive(self, message: Json) -> None:
        """Serve one frame."""
        if self.send_queue.close_code:
            return
        frame: Json = {}
        try:
            frame = _decode(message.get("text"))
            operation = self._operation(frame)
        except session.FrameError as error:
            answer: Json | None = refusal(error, frame)
        else:
            waits = frame["op"] not in self.without_database
            answer = await session.answer(operation, frame, self.refusals, waits=waits)
        if answer is not None:
            self.send_queue.answer(encode(answer))
        await self.send_queue.room()

    async def websocket_disconnect(self, message: Json) -> None:
        """The client is gone."""
        raise StopConsumer

    async def op_follow(self, frame: Json) -> Json:
        """Start a feed."""
        return await session.follow(self.send_queue, self.principal, session.parse(session.Follow, frame))

    async def op_unfollow(self, frame: Json) -> None:
        """End a feed."""
        session.unfollow(self.send_queue, session.parse(session.Unfollow, frame).id)

    def _operation(self, frame: Json) -> session.Operation:
        op = frame.get("op")
        found = getattr(self, f"op_{op}", None) if isinstance(op, str) else None
        if found is None:
            raise session.FrameError("unknown_operation", f"There is no operation {op!r:.60}.")
        return found  # type: ignore[no-any-return]

    async def _write(self) -> None:
        """Send what waits, one frame after the other: `send` waits while the client does not read."""
        with contextlib.suppress(OSError, RuntimeError):  # the client went while we wrote
            while (text := await self.send_queue.get()) is not None:
                await self.send({"type": "websocket.send", "text": text})
        with contextlib.suppress(OSError, RuntimeError):
            await self.send({"type": "websocket.close", "code": self.send_queue.close_code or SERVER_ERROR})
        self.send_queue.ended.set()

    async def _watch(self, who: session.Session) -> None:
        """Rights may end while the socket is open."""
        await session.watch(who, self.send_queue, self.recheck_seconds)
        self.send_queue.close(SIGN_IN)


def _unwrapped(send: Any) -> Any:
    """The server's own `send`.

    Channels' session middleware wraps it to save sessions, which it never does on a websocket: looking
    whether it should takes 6 µs for each frame, twice what all of this module takes.
    """
    return getattr(getattr(send, "__self__", None), "real_send", send)


def _decode(text: str | None) -> Json:
    """A frame's JSON. Raises `FrameError`."""
    if text is None:
        raise session.FrameError("malformed_frame", "Frames are text.")
    # Characters first: most frames are far below the bound, and counting bytes copies the text.
    if len(text) * 4 > conf.max_frame_bytes and len(text.encode()) > conf.max_frame_bytes:
        raise session.FrameError("frame_too_large", f"A frame may have {conf.max_frame_bytes:,} bytes.")
    try:
        frame = decoded(text)
    except ValueError as error:
        raise session.FrameError("malformed_frame", f"This is not JSON: {error}.") from None
    if not isinstance(frame, dict):
        raise session.FrameError("malformed_frame", "A frame is a JSON object.")
    return frame
