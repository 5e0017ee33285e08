"""Who waits for a database that is away is told so soon; who waits for one that is slow gets the answer."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from agents_site.api import identity, log_body, routes
from shared_state.api import wire
from shared_state.core import outage
from shared_state.core.outage import Outage, Part
from tests.site.caller import Caller
from tests.site.world import World, build

READ = "/api/streams/debate/host"
MESSAGES = "/api/agents/debate/host/messages"


class Database:
    """A database as the health check sees it; and a door that keeps calls waiting while it is closed."""

    def __init__(self) -> None:
        self.there = True
        self.asked = 0
        self.answers = threading.Event()
        self.finds_out = threading.Event()
        self.finds_out.set()
        self.outage = Outage(Part("database", self.reach))

    def reach(self) -> None:
        self.asked += 1
        assert self.finds_out.wait(1.5)
        if not self.there:
            raise OperationalError("away")


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Calls are impatient, and every look-up of a session waits until the database answers."""
    made = Database()
    for module in (routes, log_body):
        monkeypatch.setattr(module, "outage", made.outage)
    monkeypatch.setattr(outage, "SLOW_AFTER", 0.01)
    monkeypatch.setattr(outage, "AGAIN", 0.01)
    look_up = identity._look_up

    def waiting(*args: Any) -> Any:
        assert made.answers.wait(20)
        return look_up(*args)

    monkeypatch.setattr(identity, "_look_up", waiting)
    yield made
    made.answers.set()


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def caller(world: World, ada: User) -> Caller:
    return Caller.of(ada)


async def until_asked(database: Database, times: int) -> None:
    while database.asked < times:
        await asyncio.sleep(0.001)


async def test_while_it_is_away_calls_are_told_so(caller: Caller, database: Database) -> None:
    database.there = False
    database.finds_out.clear()

    waiting = asyncio.gather(
        *(caller.get(READ) for _ in range(20)), *(caller.post(MESSAGES, {"payload": "x"}) for _ in range(20))
    )
    while len(database.outage._waiting) < 40:
        await asyncio.sleep(0.001)
    database.finds_out.set()
    replies = await waiting

    assert {(reply.status, reply.code) for reply in replies} == {(503, "unavailable")}
    assert {reply.headers["retry-after"] for reply in replies} == {"2"}
    assert database.asked == 1  # one attempt for all who wait


async def test_while_it_is_slow_calls_wait(caller: Caller, database: Database) -> None:
    replies = [asyncio.create_task(caller.get(READ)) for _ in range(5)]
    await until_asked(database, 3)

    database.answers.set()

    assert [reply.status for reply in await asyncio.gather(*replies)] == [200] * 5


async def test_it_notices_when_one_that_was_slow_is_away(caller: Caller, database: Database) -> None:
    reply = asyncio.create_task(caller.get(READ))
    await until_asked(database, 2)

    database.there = False

    assert (await reply).status == 503


async def test_who_is_quick_asks_nobody(caller: Caller, database: Database) -> None:
    database.answers.set()
    outage.SLOW_AFTER = 20  # the fixture puts it back

    assert (await caller.get(READ)).status == 200
    assert database.asked == 0


async def test_once_it_is_there_again_all_is_as_before(caller: Caller, database: Database) -> None:
    database.there = False
    assert (await caller.get(READ)).status == 503

    database.there = True
    database.answers.set()

    assert (await caller.get(READ)).status == 200
    assert (await caller.post(MESSAGES, {"payload": "x"})).status == 201


async def test_what_the_database_refuses_is_told_with_a_time_to_come_back(
    caller: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.answers.set()

    def fail(*args: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(wire, "page", fail)
    reply = await caller.get(READ)

    assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "unavailable", "2")


async def test_what_times_out_for_another_reason_is_no_outage(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with Outage(Part("database", database.reach)).ends_waiting():
            raise TimeoutError
