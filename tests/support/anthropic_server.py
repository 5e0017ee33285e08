"""A real HTTP server that speaks the Messages API, for tests that use the real SDK.

It checks each request as the API of 2026 would (`anthropic_rules`), records it, and answers with what the
test has queued (`anthropic_replies`): streams, refusals, and streams that break. With nothing queued a
`brain` answers, for instance the offline model. It also runs by itself:

    python -m tests.support.anthropic_server --port 0

prints its address and answers like the offline model until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import django

from tests.support.anthropic_replies import Answer, Fault, Reply, sse
from tests.support.anthropic_rules import Refused, check, prefix_of

KEY = "sk-test-0123456789"
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]
    refused: str = ""
    """What was wrong with it, if something was."""


Brain = Callable[[Mapping[str, Any]], Answer]


@dataclass
class _Stats:
    open: int = 0
    hung_up: int = 0
    """Streams that the client closed before their end."""
    changed: threading.Condition = field(default_factory=threading.Condition)


class AnthropicServer:
    """Use as a context manager: the server lives in a thread, so any event loop may talk to it."""

    def __init__(self, brain: Brain | None = None, *, key: str = KEY, port: int = 0) -> None:
        self.key = key
        self.brain = brain
        self.requests: list[Recorded] = []
        self._port = port
        self._queue: deque[Answer] = deque()
        self._stats = _Stats()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)

    # --- for tests ---

    def add(self, *answers: Answer) -> None:
        """Queue answers; each valid request takes one."""
        self._queue.extend(answers)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        """The bodies of all requests that were accepted."""
        return [each.body for each in self.requests if not each.refused]

    def wait_until_hung_up(self, seconds: float = 1.0) -> bool:
        """Wait until a client has closed a stream before its end; False if none does in time."""
        with self._stats.changed:
            return self._stats.changed.wait_for(lambda: self._stats.hung_up > 0, seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("The test's Messages API did not start.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # --- the server ---

    async def serve(self) -> None:
        """Serve until stopped."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self._port)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read_request(reader):
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self,
        request: tuple[str, dict[str, str], bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer one request. Returns whether the connection may carry another."""
        path, headers, raw = request
        body: dict[str, Any] = json.loads(raw or b"{}")
        answer = self._decide(path, headers, body)
        if isinstance(answer, Fault):
            await asyncio.sleep(answer.hang)
            await _send_json(writer, answer.status, answer.body(), answer.headers)
            return True
        return await self._stream(answer, body, reader, writer)

    def _decide(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        try:
            if not path.startswith("/v1/messages"):
                raise Refused(f"{path} does not exist", 404, "not_found_error")
            if headers.get("authorization") != f"Bearer {self.key}":
                raise Refused("invalid x-api-key", 401, "authentication_error")
            if headers.get("anthropic-version") != "2026-10-21":
                raise Refused(
                    f"anthropic-version: {headers.get('anthropic-version')!r} is not a valid version"
                )
            check(body, headers)
        except Refused as error:
            self.requests.append(Recorded(headers, body, str(error)))
            return Fault(error.status, error.kind, str(error))
        self.requests.append(Recorded(headers, body))
        if self._queue:
            return self._queue.popleft()
        if self.brain is not None:
            return self.brain(body)
        return Fault(400, "invalid_request_error", "the test has queued no answer for this request")

    async def _stream(
        self,
        reply: Reply,
        body: Mapping[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"request-id: req_test\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        # Nobody sends anything while a stream runs, so a read that ends means that the client has gone.
        gone = asyncio.create_task(reader.read(1))
        writing = asyncio.create_task(self._write(reply, body, writer))
        try:
            await asyncio.wait({gone, writing}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                return writing.result()
            with self._stats.changed:
                self._stats.hung_up += 1
                self._stats.changed.notify_all()
            return False
        finally:
            for task in (gone, writing):
                task.cancel()
            await asyncio.gather(gone, writing, return_exceptions=True)

    async def _write(self, reply: Reply, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> bool:
        prefix = prefix_of(body, len(body["messages"]))
        for number, event in enumerate(sse(reply, body["model"], f"msg_{len(self.requests)}", prefix)):
            if number == reply.drop_after:
                return False
            if number == reply.end_after:
                break
            if number == reply.stall_after:
                await asyncio.sleep(3600)
            if reply.error_after and number == reply.error_after[0]:
                event = {"type": "error", "error": {"type": reply.error_after[1], "message": "Overloaded"}}
            await _send_chunk(writer, f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            if event["type"] == "error":
                break
            if reply.pause:
                await asyncio.sleep(reply.pause)
        await _send_chunk(writer, b"")
        # Not reusable: the reader's next byte was already asked for, to notice a client that leaves.
        return False


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return first.split(" ")[1], headers, body


async def _send_json(
    writer: asyncio.StreamWriter, status: int, body: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    raw = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}", "content-type: application/json"]
    lines += [f"content-length: {len(raw)}", "request-id: req_test"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
    await writer.drain()


async def _send_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


def main() -> None:
    """Answer like the offline model until interrupted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.settings")
    django.setup()  # the brain speaks by the scripts of the types that ship, and those are Django's
    from tests.support.anthropic_brain import offline_brain

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--words-per-second", type=float, default=0.0)
    options = parser.parse_args()
    server = AnthropicServer(offline_brain(options.words_per_second), key=options.key, port=options.port)
    with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
