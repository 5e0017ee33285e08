"""The writer's own connection: kept, given back, and replaced when it breaks."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from shared_state import api
from shared_state.write import batch, writer
from shared_state.write.unit import Unit
from tests.conformance.writing import append, do, everything, make_stream, note, offsets, plainly


@pytest.fixture(autouse=True)
def _own_writer() -> Iterator[None]:
    """What these tests break is nobody else's."""
    writer.stop()
    yield
    writer.stop()


def held() -> Any:
    """The driver's connection under the writer's."""
    return do(lambda unit: connection.connection)


@pytest.fixture
def failing_commit(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The next commits of the writer fail: `before` they happened, or `after`, as if the answer was lost."""
    plan: list[str] = []
    real = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]  # the stubs know only what is public

    def commit(self: BaseDatabaseWrapper) -> None:
        moment = plan.pop(0) if plan and threading.current_thread().name == "writer" else ""
        if moment == "before":
            self.connection.rollback()
        else:
            real(self)
        if moment:
            raise OperationalError("the connection was lost")

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", commit)
    return plan


def test_one_connection_serves_all_batches() -> None:
    assert held() is held()


def test_it_is_closed_with_the_writer() -> None:
    first = held()
    writer.stop()

    assert held() is not first


def test_no_connection_is_left_behind() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("there is a pool to drain only on PostgreSQL")
    pool = connection.pool  # type: ignore[attr-defined]
    before = pool.get_stats()["pool_size"]  # what others needed at once, it keeps for a while

    for _ in range(2 * pool.max_size):
        append(make_stream(), note())
        writer.stop()

    stats = pool.get_stats()
    assert stats["pool_size"] - stats["pool_available"] <= 1  # this test's own
    assert stats["pool_size"] <= max(before, 3)


def test_a_connection_that_the_server_ended_is_replaced() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("there is no server that could end a connection to SQLite")
    stream = make_stream()
    process = do(lambda unit: connection.connection.info.backend_pid)

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process])

    assert offsets(plainly(stream, note())) == [1]
    assert offsets(append(stream, note())) == [2]


def test_a_connection_that_breaks_in_a_unit_is_replaced() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("there is no server that could end a connection to SQLite")
    stream = make_stream()
    tries = []

    def unit(unit: Unit) -> list[api.Event]:
        tries.append(unit.append(stream.id, [note("a")]))
        if len(tries) == 1:
            unit.rows(stream.id, "note")
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return tries[-1]

    assert offsets(do(unit)) == [1]
    assert len(tries) == 2


def test_a_commit_that_failed_is_done_again(failing_commit: list[str]) -> None:
    stream = make_stream()
    failing_commit.append("before")

    assert offsets(plainly(stream, note())) == [1]
    assert len(everything(stream)) == 1


def test_a_commit_whose_answer_was_lost_is_not_done_twice(failing_commit: list[str]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite answers in this process")
    stream = make_stream()
    failing_commit.append("after")

    assert offsets(plainly(stream, note(), note())) == [1, 2]
    assert offsets(plainly(stream, note())) == [3]
    assert offsets(everything(stream)) == [1, 2, 3]


def test_a_unit_without_events_is_not_repeated_blindly(failing_commit: list[str]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite answers in this process")
    runs: list[Unit] = []
    failing_commit.append("after")

    with pytest.raises(OperationalError, match="the connection was lost"):
        do(runs.append)

    assert len(runs) == 1


def test_a_database_that_stays_away_is_said_to_every_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = make_stream()
    monkeypatch.setattr(batch, "PAUSE", 0)

    def broken(self: BaseDatabaseWrapper) -> None:
        if threading.current_thread().name == "writer":
            raise OperationalError("nobody there")

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "ensure_connection", broken)
        with pytest.raises(DatabaseError, match="nobody there"):
            plainly(stream, note())

    assert offsets(plainly(stream, note())) == [1]
