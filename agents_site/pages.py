"""While the database cannot be reached, a page is a 503 that says so, within three seconds.

Django renders a page in a thread, and waits for it. A thread that hangs in a database that is away cannot be
ended: it is left behind with its request, the caller gets the page of the outage, and what the thread still
answers is heard by nobody. There are few of them, since while an outage is known nothing more is begun.
"""

from __future__ import annotations

import asyncio
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from shared_state.core.outage import RETRY_AFTER, outage
from shared_state.exceptions import Unavailable

AWAY = "agents_site.away"
"""In a request's scope: that it is to be answered with the page of the outage."""


def away_page() -> HttpResponse:
    """The page of the outage. Asks no database."""
    headers = {"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"}
    return HttpResponse(render_to_string("503.html"), status=503, headers=headers)


def is_away(request: HttpRequest) -> bool:
    """Whether the page of the outage is what this request is to get."""
    return AWAY in getattr(request, "scope", {})


class _Rendering:
    """One request that Django works on, in a task of its own."""

    def __init__(self, application: Any, scope: Any, receive: Any, send: Any) -> None:
        self._send = send
        self._left = False
        self.begun = asyncio.Event()
        self.task = asyncio.ensure_future(application(scope, receive, self._pass_on))
        self.task.add_done_callback(lambda task: self.begun.set())

    def leave(self) -> None:
        """Nobody is to hear what comes of it. Not cancelled: its last step gives the connection back."""
        self._left = True
        _left.add(self.task)
        self.task.add_done_callback(_forget)

    async def _pass_on(self, message: Any) -> None:
        if not self._left:
            self.begun.set()
            await self._send(message)


_left: set[asyncio.Future[None]] = set()
"""A task that nobody refers to may be thrown away in the middle of its work."""


def _forget(task: asyncio.Future[None]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # heard, so that nobody complains


def with_outage(application: Any, static_prefix: str) -> Any:
    """Django's ASGI application, which answers in time. Files below the prefix need no database."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith(static_prefix):
            await application(scope, receive, send)
            return
        rendering: _Rendering | None = None
        try:
            async with outage.ends_waiting():
                rendering = _Rendering(application, scope, receive, send)
                await rendering.begun.wait()
        except (Unavailable, asyncio.CancelledError) as reason:
            if isinstance(reason, Unavailable) and rendering is not None and rendering.begun.is_set():
                await rendering.task  # it was answered in the very moment in which we were told
                return
            if rendering is not None:
                rendering.leave()
            if not isinstance(reason, Unavailable):
                raise
            await application({**scope, AWAY: True}, _nothing_more(), send)
        else:
            await rendering.task

    return wrapped


def _nothing_more() -> Any:
    """What Django receives of a request whose body was read before, or does not matter."""
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    return receive
