"""Requests and answers: a bounded body of JSON in, JSON out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError
from io import BytesIO
from typing import Any, TypeVar

import orjson
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from pydantic import BaseModel, ValidationError

from agents_site.api.errors import ApiError
from shared_state.conf import conf
from shared_state.core.json_text import decoded
from shared_state.core.types import Principal

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Body = TypeVar("Body", bound=BaseModel)

ENVELOPE = 4096
"""How many bytes a body may have beside the value that it carries."""


class Gone(Exception):
    """The client left before its request was complete."""


@dataclass(frozen=True)
class Call:
    """One request. `request` is Django's view of it, without a body; `path`: the parts of the address."""

    request: ASGIRequest
    path: Mapping[str, str]
    principal: Principal
    body: bytes = b""

    def parsed(self, model: type[Body]) -> Body:
        """The body. Raises `ApiError` 400, naming the field and the reason."""
        try:
            value = decoded(self.body)
        except ValueError as error:
            raise ApiError(400, "malformed_json", f"This is not JSON: {error}.") from None
        try:
            return model.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ApiError(400, "invalid_body", f"{place or 'The body'}: {first['msg']}.") from None


HEADERS = (
    (b"content-type", b"application/json"),
    # Nobody else's cache may keep it, and no browser may take it for a page.
    (b"cache-control", b"private, no-store"),
    (b"vary", b"Cookie"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


@dataclass(frozen=True)
class Answer:
    """What is sent back: a value, as JSON."""

    value: Any
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def send(self, send: Send) -> None:
        """In one piece."""
        await send_whole(send, orjson.dumps(self.value), self.status, self.headers)


@dataclass(frozen=True)
class Streamed:
    """JSON that is sent as it is made. `pieces` are read no faster than the client reads."""

    pieces: AsyncIterator[bytes]
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    bodiless: bool = False
    """HEAD: what follows is not worth making."""

    async def send(self, send: Send) -> None:
        """In one piece, if there is no second."""
        piece = await anext(self.pieces)
        following = await anext(self.pieces, None)
        if following is None:
            await send_whole(send, piece, 200, self.headers)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *self.headers]})
        while following is not None and not self.bodiless:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece, following = following, await anext(self.pieces, None)
        await send({"type": "http.response.body", "body": piece})


async def send_whole(
    send: Send, body: bytes, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """An answer whose length is known."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*HEADERS, length, *headers]})
    await send({"type": "http.response.body", "body": body})


def request_of(scope: Scope) -> ASGIRequest:
    """Django's view of the request: its host, cookies and headers. Raises `ApiError` 400."""
    request = ASGIRequest(dict(scope), BytesIO())
    try:
        request.get_host()
        request.COOKIES  # noqa: B018  parsed here, where it can be refused
    except DisallowedHost:
        raise ApiError(400, "unknown_host", "This site does not go by that name.") from None
    except CookieError:
        raise ApiError(400, "malformed_cookie", "These cookies cannot be read.") from None
    return request


async def read_body(request: ASGIRequest, receive: Receive) -> bytes:
    """The body, up to a bound. Raises `ApiError` 413, and `Gone`."""
    limit = conf.max_event_bytes + ENVELOPE
    too_large = ApiError(413, "too_large", f"A body may have {limit:,} bytes.")
    told = request.META.get("CONTENT_LENGTH", "")
    if told.isdecimal() and int(told) > limit:
        raise too_large
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > limit:
            raise too_large
        if not message.get("more_body", False):
            return b"".join(pieces)
