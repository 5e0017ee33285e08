"""Connections that PostgreSQL has ended: reads go on over another, and nothing is ever written again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, close_old_connections, connection, transaction

from shared_state.core import outage, reconnect
from shared_state.core.db_executor import with_connection
from shared_state.models import Stream
from shared_state.write.statements import postgres_fetch

pytestmark = pytest.mark.django_db(transaction=True)

End = Callable[..., None]


def own() -> int:
    """The process of the server that this thread's connection leads to."""
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


@pytest.fixture
def end() -> Iterator[End]:
    """Ends connections, by default this thread's: what a restart does to all."""
    if connection.vendor != "postgresql":
        pytest.skip("there is no server that could end a connection to SQLite")
    params = connection.get_connection_params()
    place = {name: params[name] for name in ("host", "dbname", "user") if params.get(name)}
    with psycopg.connect(**place, autocommit=True) as other:

        def do(*processes: int) -> None:
            for process in processes or [own()]:
                assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [process]).fetchone() == (True,)

        yield do


@pytest.fixture(params=["Django", "the driver"])
def read(request: pytest.FixtureRequest) -> Callable[[], int]:
    """One statement, by either way to say it."""
    if request.param == "Django":
        return Stream.objects.count
    return lambda: int(postgres_fetch("SELECT count(*) FROM shared_state_stream")[0][0])


def test_a_read_is_done_once_more(end: End, read: Callable[[], int]) -> None:
    assert read() == 0
    end()

    assert read() == 0


def test_what_a_transaction_reads_is_not(end: End, read: Callable[[], int]) -> None:
    def look() -> None:
        with transaction.atomic():
            read()
            end()
            read()

    with pytest.raises(OperationalError):
        look()
    assert read() == 0


def test_a_write_is_not(end: End) -> None:
    assert User.objects.count() == 0
    end()

    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("INSERT INTO auth_group (name) VALUES ('once')")

    close_old_connections()  # as at the end of a request
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auth_group")
        assert cursor.fetchone() == (0,)


def test_what_fails_for_another_reason_is_not(end: End) -> None:
    calls: list[str] = []

    def read() -> None:
        calls.append("read")
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 1; SELECT pg_sleep(1)")

    with pytest.raises(OperationalError):
        reconnect.reading(connection, "SELECT", read)

    assert calls == ["read"]
    connection.close()


def test_a_connection_that_is_dead_is_not_taken_up(end: End) -> None:
    """Also a write may be first: none of a pool's connections that died in it is handed out."""
    together = Barrier(4)

    def write(name: str) -> int:
        process = own()
        together.wait(10)
        User.objects.create(username=name)
        return process

    with ThreadPoolExecutor(4) as threads:
        processes = list(threads.map(lambda number: with_connection(write, f"before-{number}"), range(4)))
        end(*processes)
        list(threads.map(lambda number: with_connection(write, f"after-{number}"), range(4)))

    assert User.objects.count() == 8


def test_a_server_with_no_connection_left_is_there(end: End, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS crowd; CREATE ROLE crowd LOGIN CONNECTION LIMIT 0")
    try:
        monkeypatch.setitem(connection.settings_dict, "USER", "crowd")
        outage.reach()
        monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
        with pytest.raises(OperationalError):
            outage.reach()
    finally:
        monkeypatch.undo()
        with connection.cursor() as cursor:
            cursor.execute("DROP ROLE crowd")
