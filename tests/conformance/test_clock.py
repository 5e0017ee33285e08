"""Due times and leases keep the database's time: a machine whose clock is wrong is none the worse for it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from entities.models import Entity, Wake
from entities.testing.runtime import claim, entity, look, recover, spawn, tell
from entities.types.registry import Registry
from shared_state.core import clock
from shared_state.core.database import connection as of_streams

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has no clock but that of its one machine"
    ),
]
SetClock = Callable[[float], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetClock]:
    """Set this machine's clock wrong by so many seconds; what it knows of the server's is forgotten."""
    right = timezone.now

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(seconds=seconds))

    clock.forget()
    yield set_to
    clock.forget()


@pytest.fixture
def note(types: Registry) -> None:
    @types.define("note")
    async def note(ctx: object, wake: object) -> None:
        """Does nothing."""


def server() -> datetime:
    with of_streams().cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found.astimezone(UTC)


@pytest.mark.usefixtures("note")
@pytest.mark.parametrize("wrong", [3600, -3600], ids=["ahead", "behind"])
async def test_a_message_is_due_at_once_whatever_the_clock_of_who_took_it(
    set_clock: SetClock, wrong: float
) -> None:
    before = await look(server)
    set_clock(wrong)
    url = await spawn("note", message="hello")
    set_clock(0)
    await tell(url, "again")

    (wake,) = await look(lambda: list(Wake.objects.filter(entity__url=url)))
    assert before <= wake.due_at <= await look(server)
    assert len(await claim()) == 1


@pytest.mark.usefixtures("note")
async def test_a_lease_holds_against_a_worker_whose_clock_is_ahead(set_clock: SetClock) -> None:
    url = await spawn("note", message="hello")
    assert len(await claim("here")) == 1

    set_clock(3600)
    assert await recover() == 0
    assert await claim("ahead") == []
    assert (await entity(url)).status == "running"


@pytest.mark.usefixtures("note")
async def test_a_lease_of_a_worker_whose_clock_is_behind_is_as_long_as_any(set_clock: SetClock) -> None:
    set_clock(-3600)
    url = await spawn("note", message="hello")
    assert len(await claim("behind")) == 1

    held = await look(lambda: Entity.objects.get(url=url).lease_expires_at)
    assert held is not None
    assert held > await look(server) + timedelta(seconds=20)


async def test_a_clock_that_is_set_meanwhile_changes_nothing(set_clock: SetClock) -> None:
    before = await look(server)
    await look(clock.compare)
    set_clock(3600)

    assert before <= clock.now() <= await look(server) + timedelta(seconds=1)
