"""The table of events, partitioned as documented: everything goes on as before."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.test_many_machines import make_database
from tests.support.processes import ROOT, Installation

SQL = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.DOTALL)
ANSWER = """
import asyncio
from entities.conf import conf
from entities.testing.runtime import ADA, quiet, spawn, tell, working, values
from entities.upkeep.pruner import Pruner
from django.conf import settings

async def answer(slug):
    url = await spawn("debate", slug, message="Debate in 1 round: should cities ban private cars?")
    async with working() as worker:
        await quiet(worker, 60)
    print(slug, [run["status"] for run in await values(url, "run")])

asyncio.run(answer("{slug}"))
settings.ENTITIES["KEEP_VERSIONS_SECONDS"] = 0
pruner = Pruner("test")
while pruner.step():
    pass
"""


@pytest.fixture
def installation(tmp_path: Path, postgres_url: str) -> Iterator[Installation]:
    """An installation with a database of its own on the PostgreSQL of the tests."""
    name = f"partitioned_{secrets.token_hex(4)}"
    make_database(postgres_url, name)
    address = postgres_url.rsplit("/", 1)[0] + f"/{name}"
    with Installation(tmp_path, database_url=address, AGENTS_LOG_LEVEL="WARNING") as made:
        made.prepare()
        yield made


def asked(installation: Installation, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(installation.environment["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(question).fetchall()


def test_every_key_of_an_event_contains_its_stream(installation: Installation) -> None:
    table = "'shared_state_eventrecord'::regclass"
    keys = asked(
        installation,
        f"SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indisunique AND indrelid = {table}",
    )

    assert len(keys) == 2
    assert all("(stream_id, " in str(key) for (key,) in keys)
    assert asked(installation, f"SELECT conname FROM pg_constraint WHERE confrelid = {table}") == []
    installation.manage("migrate", "shared_state", "0006")
    installation.manage("migrate")
    installation.consult_the_doctor()


def test_it_goes_on_when_it_is_partitioned(installation: Installation) -> None:
    installation.manage("shell", "--no-imports", "-c", ANSWER.format(slug="before"))
    count = "SELECT count(*), max(id) FROM shared_state_eventrecord"
    before = asked(installation, count)

    (script,) = SQL
    with psycopg.connect(installation.environment["DATABASE_URL"]) as connection:
        connection.execute(script)

    assert asked(installation, count) == before
    installation.consult_the_doctor()
    said = installation.manage("shell", "--no-imports", "-c", ANSWER.format(slug="after"))
    assert "after ['completed'" in said
    assert asked(installation, count)[0] > before[0]
    parts = "SELECT count(DISTINCT tableoid) FROM shared_state_eventrecord"
    assert int(str(asked(installation, parts)[0][0])) > 3
    installation.consult_the_doctor()
    old = installation.folder / "old.jsonl"
    assert "Dropped" in installation.manage(
        "agents", "archive", "/debate/after", "--to", str(old), "--keep", "5"
    )
    installation.consult_the_doctor()
