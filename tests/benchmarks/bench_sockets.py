"""Websockets on the site as it is deployed: viewers beside senders, and very many viewers of one agent.

A viewer follows an agent's timeline, as a page does. What it waits for is the HTML of a message, from before
that was sent until the frame is read: the commit, the hint, the render and the way to the client. Messages
go over other sockets.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence

from tests.benchmarks import cpu, site
from tests.benchmarks.clients import Asker, Socket, Tally, handshake
from tests.benchmarks.database import DATABASES
from tests.benchmarks.options import less
from tests.benchmarks.table import Table, percentile

VIEWERS = 200
SENDERS = 64
AGENTS = 64
CROWD = less(2_000, 500)
RATE = 50  # events a second that the crowd sees
SECONDS = less(8.0, 3.0)
TIMEOUT = 10.0  # seconds that what is late may take
AT_ONCE = 25  # handshakes


def run() -> Iterator[Table]:
    """For each database: the viewers of many agents, then the crowd at one."""
    columns = (
        "database", "messages/s", "p50 ms", "p99 ms", "arrived", "web of a core", "µs of it a delivery", "MB",
    )  # fmt: skip
    some = Table(
        f"{VIEWERS} viewers of {AGENTS} agents, {SENDERS} senders that wait for their answers",
        columns,
        notes=("From a message that is sent to its HTML at a viewer. Nobody handles it. Aim: 60 and 150.",),
    )
    crowd = Table(f"{CROWD:,} viewers of one agent, {RATE} messages a second", columns)
    for database in DATABASES:
        with site.running(database, agents=AGENTS, handles=False) as place:
            some.add(database, *asyncio.run(_measured(place, VIEWERS, AGENTS)))
        with site.running(database, agents=1, handles=False) as place:
            crowd.add(database, *asyncio.run(_measured(place, CROWD, 1)))
    yield some
    yield crowd


async def _measured(place: site.Site, viewers: int, agents: int) -> tuple[object, ...]:
    """One agent: at a steady rate; many: as fast as senders are answered."""
    tally = Tally()
    followers = await _viewers(place, viewers, agents, tally)
    senders = [await Asker.to(place.port, place.cookies) for _ in range(SENDERS)]
    seen = [len(range(agent, viewers, agents)) for agent in range(agents)]
    used, began = cpu.seconds(place.processes[0]), time.monotonic()
    send = _steadily(senders) if agents == 1 else _eagerly(senders, agents)
    sent = await send
    elapsed = time.monotonic() - began
    expected = sum(seen[agent] for agent in sent)
    while len(tally.waits) < expected and time.monotonic() - began < elapsed + TIMEOUT:
        await asyncio.sleep(0.05)
    used, whole = cpu.seconds(place.processes[0]) - used, time.monotonic() - began
    memory = cpu.megabytes(place.processes[0])
    for one in (*followers, *senders):
        one.close()
    waits = tally.waits or [float("inf")]
    p50, p99 = (percentile(waits, share) * 1000 for share in (0.5, 0.99))
    each = used / max(1, len(tally.waits)) * 1e6
    arrived = f"{len(tally.waits) / expected:.2%}"
    return len(sent) / elapsed, p50, p99, arrived, f"{used / whole:.0%}", each, memory


async def _viewers(place: site.Site, count: int, agents: int, tally: Tally) -> list[Socket]:
    request = handshake(f"127.0.0.1:{place.port}", place.cookies)
    few = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Socket:
        follow = {"op": "follow", "id": 1, "stream": f"/listens/{number % agents}", "codec": "timeline"}
        async with few:
            loop = asyncio.get_running_loop()
            _, made = await loop.create_connection(
                lambda: Socket(request, follow, tally), "127.0.0.1", place.port
            )
            await asyncio.wait_for(made.following, 60)
            return made

    return await asyncio.gather(*map(one, range(count)))


async def _say(sender: Asker, agent: int) -> None:
    """A message that says when it was sent; clients look for that in what they read."""
    now = time.monotonic_ns()
    message = {"op": "send", "ref": "1", "to": f"/listens/{agent}", "key": f"message-{now}-{agent}"}
    answer = await sender.ask({**message, "payload": f"A short message, as people write them. @{now}@"})
    assert answer.startswith(b'{"op":"ok"'), answer


async def _eagerly(senders: Sequence[Asker], agents: int) -> list[int]:
    """Each sender the next message once the last was accepted. Returns to whom."""
    end, sent = time.monotonic() + SECONDS, list[int]()

    async def keep_on(number: int, sender: Asker) -> None:
        while time.monotonic() < end:
            await _say(sender, number % agents)
            sent.append(number % agents)

    await asyncio.gather(*(keep_on(number, sender) for number, sender in enumerate(senders)))
    return sent


async def _steadily(senders: Sequence[Asker]) -> list[int]:
    """So many a second to the one agent. Returns to whom."""
    count, start = int(RATE * SECONDS), time.monotonic()

    async def sometimes(number: int, sender: Asker) -> None:
        for n in range(number, count, len(senders)):
            await asyncio.sleep(max(0.0, start + n / RATE - time.monotonic()))
            await _say(sender, 0)

    await asyncio.gather(*(sometimes(number, sender) for number, sender in enumerate(senders)))
    return [0] * count
