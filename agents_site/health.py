"""`/healthz` and `/readyz`: what a load balancer asks.

It asks by an IP address, over plain HTTP, without a session and every few seconds. So this stands in front of
Django: no host is checked, nothing is redirected, nobody is looked up. What is told is only which of three
parts fails; why it does is in the log.
"""

import asyncio
from typing import Any

from shared_state import api
from shared_state.core.outage import Part
from shared_state.models import Stream
from shared_state.notify import bus

ALIVE, READY = "/healthz", "/readyz"


def reach_database() -> None:
    """Read from a table; fails also where the tables are not there yet."""
    Stream.objects.exists()


def reach_writer() -> None:
    """A write of nothing, behind whatever waits to be written."""
    api.unit(lambda unit: None, provenance=api.Provenance("system:health"))


def reach_bus() -> None:
    """Something that nobody hears, through the channel layer."""
    bus.default().reach().result()


PARTS = (Part("database", reach_database), Part("writer", reach_writer), Part("bus", reach_bus))


def with_health(application: Any) -> Any:
    """The same ASGI application for HTTP, with the two addresses in front of it."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] not in (ALIVE, READY):
            await application(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, "Use GET.\n", (b"allow", b"GET, HEAD"))
        elif failing := await _failing() if scope["path"] == READY else []:
            await _answer(send, 503, f"failing: {', '.join(failing)}\n")
        else:
            await _answer(send, 200, "ok\n")

    return wrapped


async def _failing() -> list[str]:
    found = await asyncio.gather(*[part.fails() for part in PARTS])
    return [part.name for part, fails in zip(PARTS, found, strict=True) if fails]


async def _answer(send: Any, status: int, text: str, *more: tuple[bytes, bytes]) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
