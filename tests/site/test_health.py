"""What a load balancer is told: whether the process lives, and which of three parts cannot be reached."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from agents_site import health
from shared_state.core import outage
from shared_state.notify import bus
from tests.shared_state.live.feeding import append, make_stream
from tests.site.caller import Caller
from tests.support import servers
from tests.support.client import Client
from tests.support.processes import Installation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_it_is_well_and_says_no_more(path: str, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["agents.example"]
    settings.SECURE_SSL_REDIRECT = True
    stranger = Caller()

    reply = await stranger.send("GET", path, host="10.1.2.3:8000", x_forwarded_for="10.9.9.9")

    assert (reply.status, reply.body) == (200, b"ok\n")
    assert reply.headers["cache-control"] == "no-store"
    assert "set-cookie" not in reply.headers
    assert (await stranger.send("HEAD", path)).status == 200
    assert (await stranger.send("POST", path)).status == 405


@contextlib.contextmanager
def parts(**reaches: object) -> Iterator[None]:
    """Other parts than those of the site."""
    own, health.PARTS = health.PARTS, tuple(outage.Part(name, reach) for name, reach in reaches.items())  # type: ignore[assignment, arg-type]
    try:
        yield
    finally:
        health.PARTS = own


def fail() -> None:
    raise OSError("postgresql://me:hunter2@db.internal is gone")


async def test_it_names_what_fails_and_keeps_the_reason() -> None:
    with parts(database=fail, writer=lambda: None, bus=fail):
        ready, alive = await Caller().get("/readyz"), await Caller().get("/healthz")

    assert (ready.status, ready.body) == (503, b"failing: database, bus\n")
    assert alive.status == 200


async def test_a_part_that_hangs_costs_one_thread_and_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "TIMEOUT", 0.05)
    released, tries = threading.Event(), []

    def hang() -> None:
        tries.append(threading.current_thread())
        released.wait(30)

    with parts(database=hang):
        asked = [Caller().get("/readyz") for _ in range(5)]
        async with asyncio.timeout(10):
            replies = [*await asyncio.gather(*asked), await Caller().get("/readyz")]
        assert {reply.status for reply in replies} == {503}
        assert len(tries) == 1
        released.set()
        tries[0].join(10)
        monkeypatch.setattr(outage, "TIMEOUT", 10)
        assert (await Caller().get("/readyz")).status == 200
        assert len(tries) == 2


async def test_it_waits_no_longer_for_a_writer_that_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outage, "TIMEOUT", 0.1)
    stream, entered, leave = await make_stream(), threading.Event(), threading.Event()

    def slow(unit: object) -> None:
        entered.set()
        leave.wait(30)

    from shared_state import api

    writing = asyncio.create_task(api.submit(slow, provenance=api.Provenance("user:ada")))
    await asyncio.to_thread(entered.wait, 10)
    try:
        reply = await Caller().get("/readyz")
    finally:
        leave.set()
    await writing

    assert (reply.status, reply.body) == (503, b"failing: writer\n")
    assert await append(stream) == 1


async def test_a_layer_that_cannot_be_reached_is_the_bus(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}
    nobody = f"unix://{tmp_path}/nobody.sock"
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {"hosts": [nobody]}}}
    try:
        reply = await Caller().get("/readyz")
    finally:
        bus.stop()

    assert (reply.status, reply.body) == (503, b"failing: bus\n")


def test_servers_that_go_away_are_noticed(tmp_path: Path) -> None:
    with contextlib.ExitStack() as database, contextlib.ExitStack() as redis:
        urls = {
            "database_url": database.enter_context(servers.postgres()),
            "redis_url": redis.enter_context(servers.redis()),
        }
        with Installation(tmp_path, **urls) as site:
            site.prepare()
            site.serve()
            stranger = Client(site.url)
            assert stranger.get("/readyz") == (200, "ok\n")
            redis.close()
            assert stranger.get("/readyz") == (503, "failing: bus\n")
            database.close()
            assert stranger.get("/readyz") == (503, "failing: database, writer, bus\n")
            assert stranger.get("/healthz") == (200, "ok\n")


def test_being_alive_asks_no_database(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        asyncio.run(_healthz())


async def _healthz() -> None:
    assert (await Caller().get("/healthz")).status == 200
