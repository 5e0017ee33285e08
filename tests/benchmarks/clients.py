"""Websocket clients that cost next to nothing: hundreds of them measure the server, not themselves."""

import asyncio
import base64
import json
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any

_MARK = re.compile(rb"@(\d+)@")  # when an event was sent, in nanoseconds of the monotonic clock


def handshake(host: str, cookie: str) -> bytes:
    """The request that opens the site's websocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /live/ HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


@dataclass
class Tally:
    """What all clients of a cell received."""

    waits: list[float] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)


class Wire(asyncio.Protocol):
    """The frames of one websocket. A subclass says what it does with them."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = b""  # what has come of a frame that is not whole
        self._upgraded = False

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take frames apart."""
        now = time.monotonic_ns()
        self._buffer += data
        if not self._upgraded:
            head, gap, rest = self._buffer.partition(b"\r\n\r\n")
            if not gap:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(head.decode("latin1"))
            self._upgraded, self._buffer = True, rest
            self.upgraded()
        while (found := _taken(self._buffer)) is not None:
            payload, self._buffer = found
            self.got(payload, now)

    def upgraded(self) -> None:
        """The socket is open."""

    def got(self, payload: bytes, now: int) -> None:
        """A frame came, at this time of the monotonic clock."""

    def say(self, message: dict[str, Any]) -> None:
        """Send one frame."""
        self._transport.write(_frame(message))

    def close(self) -> None:
        """Go."""
        self._transport.close()


class Socket(Wire):
    """A client that does nothing but look at the clock; a library would be the bottleneck."""

    def __init__(self, request: bytes, follow: dict[str, Any], tally: Tally) -> None:
        super().__init__(request)
        self._follow = follow
        self._tally = tally
        self.following: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def upgraded(self) -> None:
        """Follow."""
        self.say(self._follow)

    def connection_lost(self, error: Exception | None) -> None:
        """The end of the cell, or a fault."""
        if not self.following.done():
            self.following.set_exception(RuntimeError("the socket was closed"))

    def stall(self) -> None:
        """Stop reading."""
        self._transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def got(self, payload: bytes, now: int) -> None:
        """The answer to `follow`, then patches."""
        if not self.following.done():
            assert b'"following"' in payload, payload
            self.following.set_result(None)
        elif payload.startswith(b'{"op":"patch"'):
            self._tally.waits += [(now - int(at)) / 1e9 for at in _MARK.findall(payload)]
        else:
            self._tally.others.append(payload)


class Asker(Wire):
    """A client that waits for the answer to one frame before it says the next."""

    _answer: asyncio.Future[bytes]

    def __init__(self, request: bytes) -> None:
        super().__init__(request)
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def to(cls, port: int, cookie: str) -> "Asker":
        """Open one."""
        request = handshake(f"127.0.0.1:{port}", cookie)
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: cls(request), "127.0.0.1", port)
        await asyncio.wait_for(made.open, 30)
        return made

    def upgraded(self) -> None:
        """Ready."""
        self.open.set_result(None)

    def got(self, payload: bytes, now: int) -> None:
        """The answer."""
        self._answer.set_result(payload)

    async def ask(self, message: dict[str, Any]) -> bytes:
        """Say it; answers what came back."""
        self._answer = asyncio.get_running_loop().create_future()
        self.say(message)
        return await self._answer


def _taken(buffer: bytes) -> tuple[bytes, bytes] | None:
    """The payload of the first frame and what follows it, if it is there as a whole."""
    if len(buffer) < 2:
        return None
    size, start = buffer[1] & 127, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        if len(buffer) < start:
            return None
        size = int.from_bytes(buffer[2:start])
    end = start + size
    return (buffer[start:end], buffer[end:]) if len(buffer) >= end else None


def _frame(message: dict[str, Any]) -> bytes:
    """A client's text frame; the mask is required, and may be zero."""
    payload = json.dumps(message).encode()
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2)
    return b"\x81" + length + bytes(4) + payload
