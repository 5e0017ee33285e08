"""Who opens a websocket: the session of its cookie, looked up as for a page.

Channels' own middlewares do this for all sockets of a process in one thread, one after the other: where that
hangs, in a database that is away, nobody opens a socket any more.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie
from django.utils.module_loading import import_string

from shared_state.core.db_executor import in_thread
from shared_state.core.outage import outage
from shared_state.core.reconnect import AWAY
from shared_state.exceptions import Unavailable

SERVER_ERROR = 4011  # websocket close code: come back later (autobahn refuses the standard 1011)


class SignedIn:
    """ASGI wrapper for websockets: adds `user` and `session`, as `channels.auth` has them.

    While the database cannot be reached it refuses, within three seconds; pages come back by themselves.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Look up, then go on."""
        try:
            async with outage.ends_waiting():
                user, session = await in_thread(_look_up, _session_key(scope))
        except (Unavailable, *AWAY):
            await receive()
            await send({"type": "websocket.close", "code": SERVER_ERROR})
            return
        await self.application({**scope, "user": user, "session": session}, receive, send)


def _session_key(scope: Any) -> str | None:
    sent = [value.decode("latin1") for name, value in scope["headers"] if name == b"cookie"]
    return parse_cookie("; ".join(sent)).get(settings.SESSION_COOKIE_NAME)


def _look_up(session_key: str | None) -> tuple[Any, Any]:
    request = HttpRequest()
    request.session = import_string(f"{settings.SESSION_ENGINE}.SessionStore")(session_key)
    return get_user(request), request.session
