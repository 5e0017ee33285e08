"""By HTTP: reading a long log, and sending messages; the server in a process of its own, under either server.

The clients write requests by hand and read no more of an answer than they must: a library would be the
bottleneck. They share the two cores with the server, so CPU per request says more than requests a second.
"""

import asyncio
import gzip
import itertools
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.benchmarks import cpu
from tests.benchmarks.database import DATABASES, BenchDatabase, bench_database
from tests.benchmarks.driving import driven
from tests.benchmarks.http_client import TOKEN, Connection, change
from tests.benchmarks.options import less
from tests.benchmarks.summary import Work
from tests.benchmarks.table import Table, percentile
from tests.support.processes import Process

ME = "tests.benchmarks.bench_http"
SERVERS = {
    "Daphne (ours)": [sys.executable, "manage.py", "serve", "--fd"],
    "Uvicorn": [
        sys.executable, "-m", "uvicorn", "agents_site.asgi:application", "--log-level", "warning", "--fd",
    ],
}  # fmt: skip
EVENTS = 10_000
LIMIT = 10_000
READS = less(9, 4)
CLIENTS = 64
AGENTS = 64
SECONDS = less(4.0, 2.0)
WARM_UP = 1.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MESSAGE = b"A short message, as people write them."
GZIP = b"\x1f\x8b"
LOG = "/api/streams/bench/log"


def run() -> Iterator[Table]:
    """For each database and server: reads in each form, then sends."""
    reads = Table(
        f"Reading a log of {EVENTS:,} events by HTTP",
        ("database, server, form", "requests", "ms, median", "ms, best", "MB", "ms CPU of the server"),
        notes=("Events are the deltas of an assistant's texts. The whole log, cursor by cursor.",),
    )
    sends = Table(
        f"Messages accepted by HTTP, {CLIENTS} clients, {AGENTS} agents, nothing handled",
        ("database, server", "sends/s", "p50 ms", "p99 ms", "ms CPU of the server for each"),
    )
    alone = Table(
        f"The way in alone: the same requests, {CLIENTS} clients, but nothing is written",
        ("database, server", "requests/s", "p50 ms", "p99 ms", "ms CPU of the server for each"),
        notes=("Request, session, CSRF, the agent and the right to write to it, and the answer.",),
    )
    for database in DATABASES:
        with bench_database(database) as place:
            cookies = place.measure(f"{ME}:prepare")
            for name, command in SERVERS.items():
                with _server(place, command) as site:
                    for form, query, headers in (
                        ("plain", "", ""),
                        ("compact", "&format=compact", ""),
                        ("plain, gzip", "", "Accept-Encoding: gzip\r\n"),
                        ("compact, gzip", "&format=compact", "Accept-Encoding: gzip\r\n"),
                    ):
                        cell = asyncio.run(_read(site, cookies, query, headers))
                        reads.add(f"{database}, {name}, {form}", *cell)
                        if form == "plain" and command is SERVERS["Daphne (ours)"]:
                            reads.meets(Work.READ, database, cell[1])
                    sends.add(f"{database}, {name}", *asyncio.run(_send(site, cookies)))
            for name, kind in (("Daphne (ours)", "daphne"), ("Uvicorn", "uvicorn")):
                with _server(place, [sys.executable, "-m", ME, kind]) as site:
                    alone.add(f"{database}, {name}", *asyncio.run(_send(site, cookies)))
    yield reads
    yield sends
    yield alone


# -- in processes of their own


def prepare() -> str:
    """Ada with a session, her agents, and a long log of hers. Returns the cookies of a page of hers."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    from entities.api import NewEntity, registry, spawn_now
    from shared_state import api
    from shared_state.write import writer

    client = Client()
    client.force_login(User.objects.create_user("ada", password="ada"))
    registry.store()
    for number in range(AGENTS):
        spawn_now(api.Principal("user", "ada"), NewEntity("assistant", f"agent-{number}"))
    stream = api.unit(
        lambda unit: unit.create_stream("/bench/log", "entity", "user:ada"),
        provenance=api.Provenance("user:ada"),
    )
    for first in range(0, EVENTS, 100):
        _say(stream.id, first)
    writer.stop()
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    return f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={TOKEN}"


def _say(stream: int, first: int) -> None:
    """A hundred deltas of one run, as the recorder writes them."""
    from shared_state import api

    run = f"{first // 200 + 1}.0"
    events = [
        api.NewEvent(
            "text_delta",
            f"{run}-s1-t1-d{n}",
            {
                "key": f"{run}-s1-t1-d{n}", "text_id": f"{run}-s1-t1", "run_id": run,
                "delta": "a few more words of it"[: 5 + n % 17],
            },
            fold=False,
        )
        for n in range(first, first + 100)
    ]  # fmt: skip
    provenance = api.Provenance("agent:/assistant/agent-1", run.partition(".")[0], run)
    for five in range(0, 100, 5):
        part = events[five : five + 5]
        asyncio.run(api.append(stream, part, provenance=provenance))


def serve_alone(kind: str, fd: str) -> None:
    """The site, in which a message that may be delivered is answered without being written."""
    from agents_site.asgi import application
    from entities import api
    from shared_state.api import Event, Provenance

    event = Event(1, 2, "inbox", "k", "insert", {"payload": MESSAGE.decode()}, EPOCH, Provenance("user:ada"))

    async def nothing(*_: Any, **__: Any) -> Event:
        return event

    vars(api)["submit"] = nothing
    if kind == "uvicorn":
        import uvicorn

        uvicorn.run(application, fd=int(fd), log_level="warning")
    else:
        from django.core.management import call_command

        call_command("serve", fd=int(fd))


# -- the server


@dataclass(frozen=True)
class Site:
    """A running server."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds that its process has used."""
        return cpu.seconds(self.pid)


@contextmanager
def _server(place: BenchDatabase, command: list[str]) -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        process = Process([*command, str(listener.fileno())], place.environment, (listener.fileno(),))
        try:
            yield Site(listener.getsockname()[1], process.pid)
        finally:
            process.close()


# -- the clients


async def _read(site: Site, cookies: str, query: str, headers: str) -> tuple[int, float, float, float, float]:
    """Requests, median and best milliseconds, megabytes, milliseconds of CPU; of one reading of it all."""
    connection = await Connection.to(site.port)
    times: list[float] = []
    requests = size = 0
    before = site.cpu()
    for number in range(READS + 1):
        if number == 1:  # the first one opened connections and filled caches
            before = site.cpu()
        after, more, requests, size, waited = "", True, 0, 0, 0.0
        while more:
            request = (
                f"GET {LOG}?limit={LIMIT}&after={after}{query} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
                f"Cookie: {cookies}\r\n{headers}\r\n"
            )
            began = time.perf_counter()
            status, body = await connection.ask(request.encode())
            waited += time.perf_counter() - began
            requests, size = requests + 1, size + len(body)
            text = gzip.decompress(body) if body.startswith(GZIP) else body
            found = re.search(rb'"next":"(\w+)","more":(\w+)}$', text)
            assert found is not None, (status, text[:500])
            after, more = found[1].decode(), found[2] == b"true"
        times.append(waited * 1000)
    connection.close()
    used = (site.cpu() - before) / READS * 1000
    return requests, percentile(times[1:], 0.5), min(times[1:]), size / 1e6, used


async def _send(site: Site, cookies: str) -> tuple[float, float, float, float]:
    """Sends a second, p50 and p99 in milliseconds, and the server's CPU for each, in milliseconds."""
    connections = [await Connection.to(site.port) for _ in range(CLIENTS)]
    await connections[0].ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")  # once it has started
    numbers = itertools.count(time.time_ns())

    async def send(number: int) -> None:
        path = f"/api/agents/assistant/agent-{number % AGENTS}/messages"
        value = {"payload": MESSAGE.decode(), "key": f"message-{next(numbers)}"}
        status, answer = await connections[number].ask(change("POST", path, site.port, cookies, value))
        assert status == 201, answer

    calls = [partial(send, number) for number in range(CLIENTS)]
    found = await driven(calls, SECONDS, WARM_UP, site.cpu)
    for connection in connections:
        connection.close()
    return found.rate, found.milliseconds(0.5), found.milliseconds(0.99), found.each


if __name__ == "__main__":
    serve_alone(*sys.argv[1:])
