"""Fifty events a second to 10, 100 and 500 sockets: how long from the append to the client, and who is late.

The server is the real one with its real authentication, the events go through the real `append`, and the
clients are real websockets in another process. The clock of a figure starts before the append, so it holds
the commit, the hint, the render and the way to the client.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shared_state.html import changes
from shared_state.live import codecs
from tests.benchmarks import cpu
from tests.benchmarks.clients import Socket, Tally, handshake
from tests.benchmarks.database import BenchDatabase, bench_database
from tests.benchmarks.options import less
from tests.benchmarks.table import Table, percentile
from tests.support import servers
from tests.support.processes import Process

SOCKETS = less((10, 100, 500), (10, 500))
RATE = 50  # events per second
SECONDS = less(5.0, 2.0)  # of one cell
IN_TIME = 0.3  # seconds from the append to the client
AT_ONCE = 25  # handshakes
ME = "tests.benchmarks.bench_fanout"
CODEC = "benchmark"
PATH = "/bench/fanout"
LARGE = 200_000  # bytes of one event
LARGE_EVENTS = 500


def run() -> Iterator[Table]:
    """For each server: sockets, waiting, share in time, and what it costs."""
    table = Table(
        f"Fan-out of {RATE} events per second, SQLite FULL",
        (
            "server",
            "sockets",
            "p50 ms",
            "p99 ms",
            "in time",
            "server's share of a core",
            "µs CPU per delivery",
            "MB",
        ),
        notes=(f"In time: within {IN_TIME * 1000:.0f} ms of the append. Clients share the two cores.",),
    )
    for name, kind, far in (
        ("Daphne (ours)", "daphne", False),
        ("Uvicorn", "uvicorn", False),
        ("Daphne (ours), written in another process, Redis", "daphne", True),
        ("Uvicorn, written in another process, Redis", "uvicorn", True),
    ):
        with _server(kind, far) as site:
            for count in SOCKETS:
                cell = asyncio.run(_measure(site, count))
                table.add(name, count, *cell)
    yield table
    yield _stalled()


def _stalled() -> Table:
    """One reader that stops reading beside one that goes on."""
    table = Table(
        f"A reader that stops reading while {LARGE * LARGE_EVENTS // 10**6} MB are published, SQLite FULL",
        ("server", "more memory, MB", "the other reader got", "its p99 ms", "when it reads again it is told"),
    )
    for name, kind in (("Daphne (ours)", "daphne"), ("Uvicorn", "uvicorn")):
        with _server(kind, far=False) as site:
            table.add(name, *asyncio.run(_stall(site)))
    return table


# -- the server, and who writes


@dataclass(frozen=True)
class Site:
    """A running server: where, as whom, and who is to write."""

    port: int
    cookie: str
    process: Process
    place: BenchDatabase
    far: bool


@contextmanager
def _server(kind: str, far: bool) -> Iterator[Site]:
    with (
        servers.redis() as redis,
        socket.create_server(("127.0.0.1", 0), backlog=1024) as listener,
        bench_database("SQLite FULL", **({"REDIS_URL": redis} if far else {})) as place,
    ):
        cookie = place.measure(f"{ME}:prepare")
        command = [sys.executable, "-m", ME, kind, str(listener.fileno())]
        process = Process(command, place.environment, (listener.fileno(),))
        try:
            process.wait_for_line("ready")
            yield Site(listener.getsockname()[1], cookie, process, place, far)
        finally:
            process.close()


def prepare() -> str:
    """Make a user and a stream; answer the cookie of a session."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    from shared_state import api
    from shared_state.write import writer

    client = Client()
    client.force_login(User.objects.create_user("ada", password="ada"))
    api.unit(
        lambda unit: unit.create_stream(PATH, "entity", "user:ada"), provenance=api.Provenance("user:ada")
    )
    writer.stop()
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}"


def serve(kind: str, fd: int) -> None:
    """The site under one of the servers, with a codec and a writer of the benchmark's own."""
    from agents_site.asgi import application

    codecs.codec(CODEC)(_view())
    site = _with_writer(application)
    if kind == "uvicorn":
        import uvicorn

        print("ready", flush=True)  # the socket listens: who comes early waits in its backlog
        uvicorn.run(site, fd=fd, ws_per_message_deflate=False, log_level="error")
    else:
        from agents_site import lifespan, server

        server.Server(
            site,
            server.adopt(fd),
            on_start=lifespan.startup,
            on_stop=lifespan.shutdown,
            on_ready=lambda: print("ready", flush=True),
        ).run()


def _view() -> Any:
    """A codec that renders a template, as pages do."""
    from django.template import engines

    from shared_state.api import format_offset

    template = engines["django"].from_string('<p id="{{ key }}">{{ text }} @{{ at }}@</p>')

    def show(stream: Any, events: Sequence[Any]) -> list[Any]:
        return [
            changes.Put(event.key, "log", format_offset(event.offset), template.render(event.value))
            for event in events
        ]

    return show


def _with_writer(application: Any) -> Any:
    """The application, and two paths that start the writing in this process."""
    tasks: set[asyncio.Task[int]] = set()

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        kinds = {"/bench/write": _write, "/bench/flood": _flood}
        if (write := kinds.get(scope.get("path", ""))) is None:
            await application(scope, receive, send)
            return
        tasks.add(asyncio.create_task(write()))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    return wrapped


def write_far() -> int:
    """Write from a process of its own."""
    from shared_state.notify import bus
    from shared_state.write import writer

    written = asyncio.run(_write())
    writer.stop()
    time.sleep(0.5)  # the last hints are on their way
    bus.stop()
    return written


async def _write() -> int:
    """Short messages at a steady rate."""
    return await _append(int(RATE * SECONDS), 1 / RATE, "A short message, as people write them. " * 4)


async def _flood() -> int:
    """Large events, as fast as they are committed."""
    return await _append(LARGE_EVENTS, 0.0, "x" * LARGE)


async def _append(count: int, pause: float, text: str) -> int:
    from asgiref.sync import sync_to_async

    from shared_state import api

    stream = await sync_to_async(api.get_stream, thread_sensitive=False)(PATH)
    provenance = api.Provenance("user:ada")
    start = time.monotonic()
    for n in range(count):
        await asyncio.sleep(max(0.0, start + n * pause - time.monotonic()))
        at = time.monotonic_ns()
        key = f"note-{at}"
        value = {"key": key, "text": text, "at": at}
        await api.append(stream.id, [api.NewEvent("note", key, value)], provenance=provenance)
    return count


# -- the cells


async def _measure(site: Site, count: int) -> tuple[float, float, str, str, float, int]:
    """p50 and p99 in milliseconds, share in time, share of a core, microseconds, megabytes."""
    tally = Tally()
    sockets = await _connect(site, count, tally)
    before = cpu.seconds(site.process.pid)
    began = time.monotonic()
    if site.far:
        await asyncio.to_thread(site.place.measure, f"{ME}:write_far")
    else:
        await _get(site.port, "/bench/write")
        await asyncio.sleep(SECONDS)
    expected = int(RATE * SECONDS) * count
    while len(tally.waits) < expected and time.monotonic() - began < SECONDS + 5:
        await asyncio.sleep(0.05)
    used, elapsed = cpu.seconds(site.process.pid) - before, time.monotonic() - began
    memory = cpu.megabytes(site.process.pid)
    for one in sockets:
        one.close()
    in_time = sum(wait <= IN_TIME for wait in tally.waits) / expected
    return (
        *_percentiles(tally),
        f"{in_time:.2%}",
        f"{used / elapsed:.0%}",
        used / max(1, len(tally.waits)) * 1e6,
        memory,
    )


async def _connect(site: Site, count: int, tally: Tally) -> list[Socket]:
    host = f"127.0.0.1:{site.port}"
    request = handshake(host, site.cookie)
    follow = {"op": "follow", "id": 1, "stream": PATH, "codec": CODEC}
    few = asyncio.Semaphore(AT_ONCE)

    async def one() -> Socket:
        async with few:
            loop = asyncio.get_running_loop()
            _, made = await loop.create_connection(
                lambda: Socket(request, follow, tally), "127.0.0.1", site.port
            )
            await asyncio.wait_for(made.following, 30)
            return made

    return await asyncio.gather(*[one() for _ in range(count)])


async def _stall(site: Site) -> tuple[int, str, float, str]:
    """Megabytes, what the other reader got, its p99 in milliseconds, what the stalled one is told."""
    reading, stopping = Tally(), Tally()
    await _connect(site, 1, reading)
    [stalled] = await _connect(site, 1, stopping)
    stalled.stall()
    before = most = cpu.megabytes(site.process.pid)
    await _get(site.port, "/bench/flood")
    deadline = time.monotonic() + 30
    while len(reading.waits) < LARGE_EVENTS and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        most = max(most, cpu.megabytes(site.process.pid))
    stalled.go_on()
    while not stopping.others and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    told = json.loads(stopping.others[0])["op"] if stopping.others else "nothing"
    share = f"{len(reading.waits) / LARGE_EVENTS:.0%}"
    return most - before, share, _percentiles(reading)[1], told


def _percentiles(tally: Tally) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    waits = tally.waits or [float("inf")]
    return percentile(waits, 0.5) * 1000, percentile(waits, 0.99) * 1000


async def _get(port: int, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    await reader.readline()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        for result in run():
            print(f"\n{result}")
