"""The websocket of the pages, for a project's ASGI application.

Import it once Django is set up (after `get_asgi_application()`): where the socket is depends on where the
project has included the pages.
"""

from __future__ import annotations

import re
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator, WebsocketDenier
from django.urls import get_script_prefix, re_path

from entities.web.consumers import AgentConsumer
from shared_state.html import skeleton
from shared_state.live.sign_in import SignedIn


def socket_pattern() -> str:
    """What the path of the websocket must match; proxies pass on the site's own prefix, or strip it."""
    prefix = get_script_prefix()
    path = skeleton.socket_address().removeprefix(prefix).removeprefix("/")
    passed_on = f"(?:{re.escape(prefix[1:])})?" if prefix != "/" else ""
    return f"^{passed_on}{re.escape(path)}$"


websocket_urlpatterns = [re_path(socket_pattern(), AgentConsumer.as_asgi())]

# Without it, an address that is nobody's is an exception, and a traceback in the log for whoever wants one.
NO_OTHERS = [re_path("", WebsocketDenier.as_asgi())]


def with_sockets(http: Any) -> Any:
    """A project's ASGI application that also serves the websocket, to its own pages and signed-in people.

    The hub behind it is made when the first socket opens.
    """
    router = URLRouter([*websocket_urlpatterns, *NO_OTHERS])
    sockets = AllowedHostsOriginValidator(SignedIn(router))
    return ProtocolTypeRouter({"http": http, "websocket": sockets})
