"""Which pages may open a websocket: those that this site served itself.

Browsers send cookies with a cross-site websocket and ask no permission first, so the Origin header is the
only protection. It must name the very host and port that the request was sent to; comparing host names alone
would let any other program on this machine's loopback in. CSRF_TRUSTED_ORIGINS adds exceptions, as for forms.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings

DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header belongs to the site that a Host header names."""
    try:
        page = urlsplit(origin)
        site = urlsplit(f"{page.scheme}://{host}")
        default = DEFAULT_PORTS[page.scheme]
        ports = (page.port or default, site.port or default)
    except (ValueError, KeyError):
        return False
    return bool(page.hostname) and page.hostname == site.hostname and ports[0] == ports[1]


def header(scope: Mapping[str, Any], name: bytes) -> str:
    """The only header of that name; empty if there is none, or more than one."""
    found = [value for key, value in scope.get("headers", ()) if key.lower() == name]
    return found[0].decode("latin1") if len(found) == 1 else ""


class SameOriginValidator:
    """ASGI wrapper for websockets: refuse the handshake unless the page is ours."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand on, or deny with 403."""
        origin = header(scope, b"origin")
        if same_origin(origin, header(scope, b"host")) or origin in settings.CSRF_TRUSTED_ORIGINS:
            await self.application(scope, receive, send)
        else:
            await WebsocketDenier()(scope, receive, send)
