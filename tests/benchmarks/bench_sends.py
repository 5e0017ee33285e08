"""Messages and new agents by HTTP and by websocket, by how many call at once; the site as it is deployed."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from tests.benchmarks import site
from tests.benchmarks.clients import Asker
from tests.benchmarks.database import DATABASES
from tests.benchmarks.driving import Driven, driven
from tests.benchmarks.http_client import Connection, change
from tests.benchmarks.options import less
from tests.benchmarks.summary import Work
from tests.benchmarks.table import Table

CALLERS = (1, 16, 64, 256)
ASKED = 64
"""As many callers as the aims speak of."""
SECONDS = less(4.0, 1.5)
WARM_UP = 1.0
AGENTS = 256
TEXT = "A short message, as people write them."
KEYS = itertools.count(time.time_ns())

Call = Callable[[], Awaitable[None]]


def run() -> Iterator[Table]:
    """For each database: messages that nobody handles, the same beside a worker, and new agents."""
    for database in DATABASES:
        sends = Table(
            f"Messages to {AGENTS} agents, web and worker as deployed, {database}",
            ("by", "handled", "callers", "a second", "p50 ms", "p99 ms", "ms CPU each", "late s"),
            notes=(
                "CPU is of all processes of the site and of PostgreSQL. A handler does nothing.",
                "Late: how long after the last message the last of its handlers has ended.",
            ),
        )
        for handled in (False, True):
            with site.running(database, agents=AGENTS, handles=handled) as place:
                for way in ("HTTP", "websocket"):
                    for callers in CALLERS:
                        found, late = _sent(place, way, callers, handled=handled)
                        answer = "yes" if handled else "no"
                        sends.add(way, answer, callers, *_figures(found), late if handled else "")
                        if way == "HTTP" and callers == ASKED:
                            sends.meets(Work.HANDLED if handled else Work.ACCEPTED, database, found.rate)
                            if handled:
                                sends.meets(Work.CPU, database, found.each)
        yield sends
        with site.running(database) as place:
            yield _spawns(place, database)


def _spawns(place: site.Site, database: str) -> Table:
    table = Table(
        f"New agents by HTTP, web and worker as deployed, {database}",
        ("callers", "a second", "p50 ms", "p99 ms", "ms CPU each"),
    )
    for callers in CALLERS:
        found = asyncio.run(_spawned(place, callers))
        table.add(callers, *_figures(found))
        if callers == 1:
            table.meets(Work.SPAWN, database, found.milliseconds(0.5), found.milliseconds(0.99))
    return table


def _figures(found: Driven) -> tuple[float, float, float, float]:
    return found.rate, found.milliseconds(0.5), found.milliseconds(0.99), found.each


def _sent(place: site.Site, way: str, callers: int, *, handled: bool) -> tuple[Driven, float]:
    """What so many callers sent, and how many seconds later all of it was handled."""
    found = asyncio.run({"HTTP": _by_http, "websocket": _by_socket}[way](place, callers))
    end = time.time()
    while handled:
        waiting, last = place.place.measure(f"{site.ME}:handled")
        if not waiting:
            return found, max(0.0, last - end)
    return found, 0.0


async def _by_http(place: site.Site, callers: int) -> Driven:
    connections = [await Connection.to(place.port) for _ in range(callers)]

    async def send(number: int) -> None:
        path = f"/api/agents/listens/{number % AGENTS}/messages"
        value = {"payload": TEXT, "key": f"message-{next(KEYS)}"}
        request = change("POST", path, place.port, place.cookies, value)
        status, answer = await connections[number].ask(request)
        assert status == 201, answer

    found = await _kept_up(place, [partial(send, number) for number in range(callers)])
    for connection in connections:
        connection.close()
    return found


async def _by_socket(place: site.Site, callers: int) -> Driven:
    sockets = [await Asker.to(place.port, place.cookies) for _ in range(callers)]

    async def send(number: int) -> None:
        key = f"message-{next(KEYS)}"
        to = f"/listens/{number % AGENTS}"
        answer = await sockets[number].ask({"op": "send", "ref": "1", "to": to, "key": key, "payload": TEXT})
        assert answer.startswith(b'{"op":"ok"'), answer

    found = await _kept_up(place, [partial(send, number) for number in range(callers)])
    for one in sockets:
        one.close()
    return found


async def _spawned(place: site.Site, callers: int) -> Driven:
    connections = [await Connection.to(place.port) for _ in range(callers)]

    async def spawn(number: int) -> None:
        path = f"/api/agents/listens/new-{next(KEYS)}"
        request = change("PUT", path, place.port, place.cookies, {"title": "A new one"})
        status, answer = await connections[number].ask(request)
        assert status == 201, answer

    found = await _kept_up(place, [partial(spawn, number) for number in range(callers)])
    for connection in connections:
        connection.close()
    return found


async def _kept_up(place: site.Site, calls: list[Call]) -> Driven:
    return await driven(calls, SECONDS, WARM_UP, place.cpu)
