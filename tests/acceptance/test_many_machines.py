"""PostgreSQL, Redis, a web process and two workers, started as the documentation says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.conftest import Many
from tests.support.client import receive_json


@pytest.fixture(params=["daphne", "uvicorn"])
def cluster(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str, redis_url: str
) -> Iterator[Many]:
    """The web process under each server that is documented."""
    database = f"cluster_{request.param}"
    make_database(postgres_url, database)
    address = postgres_url.rsplit("/", 1)[0] + f"/{database}"
    settings = {"AGENTS_OFFLINE_WORDS_PER_SECOND": "60"}
    with Many(tmp_path, database_url=address, redis_url=redis_url, **settings) as made:
        made.open(request.param)
        yield made


def make_database(url: str, name: str) -> None:
    """An empty database on the server of the tests."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")


def test_a_debate_is_seen_live_and_survives_the_death_of_a_worker(cluster: Many) -> None:
    workers = [cluster.worker(), cluster.worker()]
    ada = cluster.ada
    url = ada.debate("clustered")
    with ada.client.socket("/live/") as socket:
        follow = '{"op": "follow", "id": 1, "stream": "%s", "codec": "timeline", "after": "%s"}'
        socket.send(follow % (url, "0000000000000000_0000000000000000"))
        frames = [receive_json(socket) for _ in range(4)]
        assert {frame["op"] for frame in frames} == {"following", "patch"}
        ada.wait(lambda: ada.arguments(url), "the first argument")

        before = ada.activity(url)
        workers[0].kill()
        took = ada.wait(lambda: ada.activity(url) > before + 2, "the survivor's words", 10)

        assert took < 2.5
        ada.settle(url)
        heard = receive_json(socket)
        assert heard["op"] == "patch"
    ada.require_sound(url)
    cluster.consult_the_doctor()
