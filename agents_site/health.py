"""`/healthz` and `/readyz`: what a load balancer asks.

It asks by an IP address, over plain HTTP, without a session and every few seconds. So this stands in front of
Django: no host is checked, nothing is redirected, nobody is looked up. What is told is only which of three
parts fails; why it does is in the log.

Each part is tried in a thread of its own, and by one caller at a time: those who ask meanwhile wait for the
same answer, so that questions cost a part that hangs one thread, however many come and however long it hangs.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import structlog
from django.db import connections

from shared_state import api
from shared_state.models import Stream
from shared_state.notify import bus

logger = structlog.get_logger(__name__)

ALIVE, READY = "/healthz", "/readyz"
TIMEOUT = 2.0
"""Seconds after which a part that has not answered is said to fail."""


def reach_database() -> None:
    """Read from a table; fails also where the tables are not there yet."""
    Stream.objects.exists()


def reach_writer() -> None:
    """A write of nothing, behind whatever waits to be written."""
    api.unit(lambda unit: None, provenance=api.Provenance("system:health"))


def reach_bus() -> None:
    """Something that nobody hears, through the channel layer."""
    bus.default().reach().result()


class Part:
    """One part that the site needs, and the attempt to reach it that is under way."""

    def __init__(self, name: str, reach: Callable[[], None]) -> None:
        self.name = name
        self.reach = reach
        self._attempt: Future[None] | None = None
        self._failing = False

    async def fails(self) -> bool:
        """Whether it cannot be reached within the timeout."""
        if self._attempt is None or self._attempt.done():
            self._attempt = self._begin()
        error: Exception | None = None
        try:
            # Giving up ends the wait alone: an attempt that runs cannot be cancelled.
            await asyncio.wait_for(asyncio.wrap_future(self._attempt), TIMEOUT)
        except Exception as failure:  # noqa: BLE001  whatever it is, the part is not to be relied upon
            error = failure
        if (error is not None) != self._failing:
            self._failing = error is not None
            logger.warning("health.changed", part=self.name, failing=self._failing, error=repr(error))
        return error is not None

    def _begin(self) -> "Future[None]":
        attempt: Future[None] = Future()
        attempt.set_running_or_notify_cancel()
        # Not a pool's: a process that ends would wait for a thread that hangs in one.
        threading.Thread(target=self._run, args=(attempt,), name=f"health-{self.name}", daemon=True).start()
        return attempt

    def _run(self, attempt: "Future[None]") -> None:
        try:
            self.reach()
        except Exception as error:  # noqa: BLE001  handed on to those who asked
            attempt.set_exception(error)
        else:
            attempt.set_result(None)
        finally:
            connections.close_all()


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
