"""Which address is served by what, and the steps that every request goes through."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import structlog
from django.core.handlers.asgi import get_script_prefix
from django.db import DatabaseError
from django.urls import set_script_prefix

from agents_site.api import agents, identity, streams
from agents_site.api.errors import REFUSALS, ApiError
from agents_site.api.http import Answer, Call, Gone, Receive, Scope, Send, Streamed, read_body, request_of
from shared_state.core.outage import outage
from shared_state.exceptions import Unavailable

logger = structlog.get_logger(__name__)
PREFIX = "/api/"

Handler = Callable[[Call], Awaitable[Answer | Streamed]]


@dataclass(frozen=True)
class Route:
    """An address, the one method that it knows, and who serves it."""

    method: str
    pattern: str
    handler: Handler

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are answered: HEAD like GET; its body is left out later (see head.py)."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)

    @cached_property
    def address(self) -> re.Pattern[str]:
        """What the whole address must match."""
        return re.compile(re.escape(PREFIX) + self.pattern)


ROUTES = (
    Route("POST", r"streams/(?P<path>.+)/rows/(?P<collection>[^/]+)", streams.write_row),
    Route("GET", r"streams/(?P<path>.+)", streams.read_stream),
    Route("PUT", r"agents/(?P<type>[^/]+)/(?P<id>[^/]+)", agents.put_agent),
    Route("POST", r"agents/(?P<type>[^/]+)/(?P<id>[^/]+)/messages", agents.post_message),
    Route("POST", r"agents/(?P<type>[^/]+)/(?P<id>[^/]+)/signals", agents.post_signal),
)


def with_api(application: Any) -> Any:
    """The same ASGI application for HTTP, with the API in front of it."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        address = address_of(scope)
        if address.startswith(PREFIX):
            await serve(address, scope, receive, send)
        else:
            await application(scope, receive, send)

    return wrapped


def address_of(scope: Scope) -> str:
    """The address within the site: without what a server or the settings put before all of them.

    As Django's own request has it, whether or not the server passes that part on.
    """
    prefix = get_script_prefix(scope)
    path: str = scope["path"]
    return path.removeprefix(prefix) if prefix else path


async def serve(address: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    # As Django's handler does: addresses in answers begin with it.
    set_script_prefix(get_script_prefix(scope))
    try:
        async with outage.ends_waiting():
            answer: Answer | Streamed = await _answer(address, scope, receive)
    except Gone:
        return
    except REFUSALS as error:
        refused = ApiError.of(error)
        answer = Answer(refused.body(), refused.status, refused.headers)
    except ApiError as error:
        answer = Answer(error.body(), error.status, error.headers)
    except DatabaseError:
        logger.exception("api.database_failed", path=scope["path"])
        refused = ApiError.of(Unavailable())
        answer = Answer(refused.body(), refused.status, refused.headers)
    await answer.send(send)


async def _answer(address: str, scope: Scope, receive: Receive) -> Answer | Streamed:
    route, path = find(scope["method"], address)
    request = request_of(scope)
    identity.require_transport(request)
    principal = await identity.identify(request)
    body = b""
    if route.method != "GET":
        identity.require_own_page(request)
        body = await read_body(request, receive)
    return await route.handler(Call(request, path, principal, body))


def find(method: str, address: str) -> tuple[Route, dict[str, str]]:
    """The route and the parts of the address. Raises `ApiError` 404 and 405."""
    if "\x00" not in address:  # PostgreSQL knows no text with one, so nothing has such a name
        for route in ROUTES:
            found = route.address.fullmatch(address)
            if found is None:
                continue
            if method not in route.methods:
                refused = ApiError(405, "method_not_allowed", f"Use {route.method}.")
                refused.headers.append((b"allow", ", ".join(route.methods).encode()))
                raise refused
            return route, found.groupdict()
    raise ApiError(404, "not_found", "There is no such address.")
