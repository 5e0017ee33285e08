"""Our Server around a toy application, to watch it from outside.

`python -m tests.support.toy_server FD [MODE]`

MODE `hang` makes the stop hook never return; MODE `broken` makes the start hook fail.
"""

import asyncio
import json
import sys
from typing import Any

from django.conf import settings

from agents_site.server import Server, adopt

PIECE = 64 * 1024
PIECES = 400  # 25 MB: far more than the kernel's buffers on both sides


class Toy:
    """Counts what it was able to hand over."""

    def __init__(self) -> None:
        self.pieces = 0
        self.ended: list[str] = []
        self.server: Server | None = None
        self.stopping: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].strip("/")
        try:
            await getattr(self, f"{scope['type']}_{path}")(receive, send)
        finally:
            self.ended.append(path)

    async def websocket_flood(self, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        for number in range(PIECES):
            await send({"type": "websocket.send", "bytes": number.to_bytes(4, "big") * (PIECE // 4)})
            self.pieces += 1

    async def websocket_length(self, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": str(len(message["text"]))})

    async def websocket_wait(self, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        self.stopping = asyncio.Event()
        print("waiting", flush=True)
        await self.stopping.wait()
        await send({"type": "websocket.close", "code": 4012})

    async def http_flood(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(PIECES):
            await send({"type": "http.response.body", "body": bytes(PIECE), "more_body": True})
            self.pieces += 1
        await send({"type": "http.response.body", "body": b""})

    async def http_state(self, receive: Any, send: Any) -> None:
        assert self.server is not None
        state = {"pieces": self.pieces, "ended": self.ended, "connections": len(self.server.connections)}
        await self._answer(send, json.dumps(state))

    async def http_hello(self, receive: Any, send: Any) -> None:
        await self._answer(send, "hello")

    async def http_fail(self, receive: Any, send: Any) -> None:
        raise RuntimeError("as ordered")

    async def http_wait(self, receive: Any, send: Any) -> None:
        print("waiting", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            print("cancelled", flush=True)

    async def _answer(self, send: Any, text: str) -> None:
        body = text.encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def main(file_descriptor: int, mode: str) -> int:
    """Serve until stopped; the status says whether the start hook worked."""

    async def start() -> None:
        await asyncio.sleep(0)
        if mode == "broken":
            raise RuntimeError("the start hook is broken")

    async def stop() -> None:
        print("stop hook", flush=True)
        if toy.stopping is not None:
            toy.stopping.set()
            await asyncio.sleep(0)
        if mode == "hang":
            await asyncio.Event().wait()

    settings.configure()  # The server asks how large a body may be.
    toy = Toy()
    toy.server = Server(
        toy,
        adopt(file_descriptor),
        on_start=start,
        on_stop=stop,
        on_ready=lambda: print("ready", flush=True),
    )
    toy.server.run()
    return int(toy.server.failed)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
