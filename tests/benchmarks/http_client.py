"""An HTTP client that writes requests by hand and reads no more of an answer than it must.

A library would be the bottleneck: clients share the cores with the server.
"""

import asyncio
import json
from typing import Any

TOKEN = "t" * 32  # of the CSRF cookie


class Connection:
    """One kept-alive connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> "Connection":
        """Open one."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        fields = head.lower()
        if b"transfer-encoding: chunked" in fields:
            return status, await self._chunks()
        length = int(fields.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return status, await self._reader.readexactly(length)

    async def _chunks(self) -> bytes:
        pieces = []
        while size := int(await self._reader.readline(), 16):
            pieces.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readexactly(2)
        return b"".join(pieces)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def change(method: str, path: str, port: int, cookies: str, value: dict[str, Any]) -> bytes:
    """A request of a page of somebody who is signed in, that changes something."""
    body = json.dumps(value).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        f"Cookie: {cookies}\r\nX-CSRFToken: {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
