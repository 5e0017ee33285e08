"""Pages of errors, on a PostgreSQL whose connections are few and end now and then."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.test_many_machines import make_database
from tests.support.client import Client
from tests.support.processes import Installation

POOL = 2
END_ALL = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def installation(tmp_path: Path, postgres_url: str) -> Iterator[Installation]:
    """A web process with a small pool and a database of its own."""
    name = f"errors_{secrets.token_hex(4)}"
    make_database(postgres_url, name)
    address = postgres_url.rsplit("/", 1)[0] + f"/{name}"
    with Installation(tmp_path, database_url=address, AGENTS_DATABASE_POOL=str(POOL)) as made:
        made.prepare(ada="ada")
        made.serve()
        yield made


def signed_in(installation: Installation) -> Client:
    client = Client(installation.url)
    client.sign_in("ada", "ada")
    return client


def test_what_is_not_there_costs_no_connection(installation: Installation) -> None:
    """Each thread that made such a page kept one: a hundred of them, and no page could be opened any more."""
    people = [signed_in(installation) for _ in range(8)]

    with ThreadPoolExecutor(len(people)) as threads:
        for _ in range(3):
            assert {status for status, _ in threads.map(lambda each: each.get("/not/there"), people)} == {404}

    assert people[0].get("/agents/")[0] == 200


def test_it_is_said_again_after_the_database_was_restarted(installation: Installation) -> None:
    ada = signed_in(installation)
    assert ada.get("/not/there")[0] == 404

    with psycopg.connect(installation.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(END_ALL)

    assert [ada.get("/not/there")[0] for _ in range(POOL + 3)] == [404] * (POOL + 3)
