"""What no part of the site could take is refused before anything reads it: large bodies, NUL characters.

Django bounds what it parses into memory, not what it spools to disk while it looks for a CSRF token, and it
does that for everybody, signed in or not. Servers that read the whole body before they call the application
need a bound of their own: see request.py for ours.

PostgreSQL keeps no text with a NUL in it, and says so only when it is asked: a fault of ours, in the log, for
whoever wants one.
"""

from typing import Any

from django.conf import settings


class _TooLarge(Exception):
    """More arrived than was announced."""


def limit() -> int:
    """How many bytes a body may have."""
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def with_bounds(application: Any) -> Any:
    """The same ASGI application for HTTP; a body over the limit gets 413, a NUL in the address 400."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        size = 0

        async def bounded_receive() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit():
                raise _TooLarge
            return message

        if "\x00" in scope["path"] or b"%00" in scope["query_string"] or b"\x00" in scope["query_string"]:
            return await _refuse(send, 400, "An address holds no NUL characters.\n")
        if announced(scope["headers"]) > limit():
            return await _refuse(send, 413, too_large())
        try:
            await application(scope, bounded_receive, send)
        except _TooLarge:
            await _refuse(send, 413, too_large())

    return wrapped


def announced(headers: Any) -> int:
    """The Content-Length; 0 if there is none that can be read."""
    told = next((value for name, value in headers if name == b"content-length"), b"0")  # ASGI: lower case
    return int(told) if told.isdigit() else 0


async def _refuse(send: Any, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    # What is still on its way would be taken for the next request.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def too_large() -> str:
    """What the sender is told."""
    return f"This is too much: a request may have {limit():,} bytes.\n"
