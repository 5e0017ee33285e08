"""Units are done entirely or not at all, each for itself, whatever they run into."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.db import DataError, IntegrityError, connection, transaction

from shared_state import api
from shared_state.core.types import Event, StreamInfo
from shared_state.exceptions import SharedStateError
from shared_state.models import EventRecord, Grant, RowRecord, Stream
from shared_state.write.unit import Unit
from tests.conformance.writing import ADA, append, do, everything, make_stream, note, offsets, plainly, run


class Wrong(Exception):
    """What goes wrong in these tests."""


async def submit_all(*units: Any) -> list[Any]:
    """Units at once, so that they share a transaction; answers results and errors."""
    return await asyncio.gather(*(api.submit(unit, provenance=ADA) for unit in units), return_exceptions=True)


def writes(stream: StreamInfo, name: str) -> Any:
    """A unit that uses everything: events, rows, reads that flush, another table."""

    def unit(unit: Unit) -> list[Event]:
        first = unit.append(stream.id, [note(f"{name}-1", by=name)])
        Group.objects.create(name=name)
        unit.rows(stream.id, "note")
        return [
            *first,
            *unit.append(stream.id, [note(f"{name}-2", by=name), note("shared", "upsert", by=name)]),
        ]

    return unit


def fails(stream: StreamInfo, name: str, error: BaseException) -> Any:
    """The same, but it raises in the end."""

    def unit(unit: Unit) -> None:
        writes(stream, name)(unit)
        raise error

    return unit


def test_a_failing_unit_leaves_neither_events_nor_rows_nor_anything_else() -> None:
    stream = make_stream()

    with pytest.raises(Wrong, match="as it must"):
        do(fails(stream, "a", Wrong("as it must")))

    assert not EventRecord.objects.filter(stream=stream.id).exists()
    assert not RowRecord.objects.filter(stream=stream.id).exists()
    assert not Group.objects.exists()
    assert api.get_stream_by_id(stream.id).head == 0


def test_a_failing_unit_in_a_batch_undoes_only_itself() -> None:
    stream = make_stream()

    def together() -> list[Any]:
        async def gather() -> list[Any]:
            plain = [api.append(stream.id, [note(f"plain-{n}")], provenance=ADA) for n in range(3)]
            a, c = writes(stream, "a"), writes(stream, "c")
            b, d = fails(stream, "b", Wrong()), fails(stream, "d", Wrong())
            units = [api.submit(unit, provenance=ADA) for unit in (a, b, c, d)]
            ordered = [plain[0], units[0], units[1], plain[1], units[2], units[3], plain[2]]
            return await asyncio.gather(*ordered, return_exceptions=True)

        return run(gather())

    answers = together()

    assert [isinstance(answer, Wrong) for answer in answers] == [
        False,
        False,
        True,
        False,
        False,
        True,
        False,
    ]
    log = everything(stream)
    assert offsets(log) == list(range(1, 3 + 2 * 3 + 1))
    assert [event for answer in answers if isinstance(answer, list) for event in answer] == log
    assert set(Group.objects.values_list("name", flat=True)) == {"a", "c"}
    shared = api.row(stream.id, "note", "shared")
    assert shared is not None
    assert shared.value == {"by": "c"}
    assert api.count_rows(stream.id) == {"note": 3 + 2 * 2 + 1}


def test_what_a_failing_unit_changed_is_what_it_was() -> None:
    stream = make_stream()
    plainly(stream, note("kept", n=1), note("deleted", n=1))

    def spoil(unit: Unit) -> None:
        unit.append(stream.id, [note("kept", "update", n=2)])
        unit.rows(stream.id, "note")
        unit.append(stream.id, [note("kept", "delete", value=None), note("deleted", "delete", value=None)])
        unit.change_stream(stream.id, epoch=7, observed=True, closed=True, schema={"x": 1})
        raise Wrong

    def after(unit: Unit) -> tuple[Any, ...]:
        return (
            unit.row(stream.id, "note", "kept"),
            unit.row(stream.id, "note", "deleted"),
            unit.stream(stream.id),
        )

    _, (kept, deleted, info) = run(submit_all(spoil, after))

    assert (kept.value, kept.version, deleted.value) == ({"n": 1}, 1, {"n": 1})
    assert info == api.get_stream_by_id(stream.id)
    assert (info.head, info.epoch, info.observed, info.closed, info.schema) == (2, 0, False, False, {})


def test_a_stream_that_was_made_in_a_failing_unit_can_be_made_again() -> None:
    def make(unit: Unit) -> StreamInfo:
        stream = unit.create_stream("/room/again", "entity", "user:ada", schema={"a": {"type": "state:a"}})
        unit.append(stream.id, [note("a", client_key="k", n=1)])
        unit.rows(stream.id, "note")
        unit.append(stream.id, [note("b", n=1)])
        return unit.stream(stream.id)

    def make_and_fail(unit: Unit) -> None:
        make(unit)
        raise Wrong

    wrong, made = run(submit_all(make_and_fail, make))

    assert isinstance(wrong, Wrong)
    assert api.get_stream("/room/again") == made
    assert [(event.offset, event.repeated) for event in everything(made)] == [(1, False), (2, False)]


def test_a_stream_must_exist_to_be_appended_to_after_it_was_undone() -> None:
    made: list[int] = []

    def make_and_fail(unit: Unit) -> None:
        made.append(unit.create_stream("/room/undone", "entity", "user:ada").id)
        raise Wrong

    def use(unit: Unit) -> None:
        unit.append(made[0], [note()])

    assert [type(answer) for answer in run(submit_all(make_and_fail, use))] == [Wrong, api.StreamNotFound]


def test_a_taken_path_does_not_spoil_the_unit_that_found_out() -> None:
    make_stream("/room/taken")

    def try_both(unit: Unit) -> list[Event]:
        with pytest.raises(api.StreamExists):
            unit.create_stream("/room/taken", "entity", "user:ada")
        other = unit.create_stream("/room/free", "entity", "user:ada")
        return unit.append(other.id, [note()])

    assert offsets(do(try_both)) == [1]


def test_an_integrity_error_is_the_units_own() -> None:
    stream = make_stream()
    Group.objects.create(name="taken")

    def collide(unit: Unit) -> None:
        unit.append(stream.id, [note("lost")])
        Group.objects.create(name="taken")

    def recover(unit: Unit) -> None:
        unit.append(stream.id, [note("kept")])
        with pytest.raises(IntegrityError), transaction.atomic():
            Group.objects.create(name="taken")
        unit.append(stream.id, [note("after")])

    answers = run(submit_all(collide, recover, writes(stream, "c")))

    assert [type(answer) for answer in answers] == [IntegrityError, type(None), list]
    assert [event.key for event in everything(stream)] == ["kept", "after", "c-1", "c-2", "shared"]


def test_a_fault_that_shows_only_at_the_commit_hits_only_its_unit() -> None:
    stream = make_stream()

    def refer_to_nothing(unit: Unit) -> None:
        unit.append(stream.id, [note("lost")])
        Grant.objects.create(stream_id=10**6, principal="user:ben", role="view")

    answers = run(submit_all(writes(stream, "a"), refer_to_nothing, writes(stream, "c")))

    assert [isinstance(answer, IntegrityError) for answer in answers] == [False, True, False]
    assert offsets(everything(stream)) == [1, 2, 3, 4, 5, 6]
    assert not Grant.objects.exists()


def test_a_statement_that_fails_fails_only_its_unit() -> None:
    stream = make_stream()

    def misspell(unit: Unit) -> None:
        unit.append(stream.id, [note("lost")])
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM nowhere")

    answers = run(submit_all(writes(stream, "a"), misspell, writes(stream, "c")))

    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert "nowhere" in str(answers[1])
    assert offsets(everything(stream)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("error", [StopIteration("next"), SystemExit(3), KeyError("k"), DataError("d")])
def test_whatever_a_unit_raises_reaches_its_caller_alone(error: BaseException) -> None:
    stream = make_stream()

    with pytest.raises((RuntimeError, type(error))):
        do(fails(stream, "a", error))
    if not isinstance(error, SystemExit):  # asyncio ends its loop for it, as it should
        answers = run(submit_all(writes(stream, "b"), fails(stream, "c", error), writes(stream, "d")))
        assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]

    assert {event.provenance.writer for event in append(stream, note())} == {"user:ada"}


def test_a_unit_that_marks_a_rollback_is_told_to_raise() -> None:
    stream = make_stream()

    def roll_back(unit: Unit) -> None:
        unit.append(stream.id, [note("lost")])
        transaction.set_rollback(True)

    with pytest.raises(SharedStateError, match="raise an error to undo a unit"):
        do(roll_back)
    append(stream, note("kept"))

    assert [event.key for event in everything(stream)] == ["kept"]


def test_what_fails_after_the_commit_does_not_look_undone() -> None:
    stream = make_stream()

    def hook() -> None:
        raise Wrong

    def unit(unit: Unit) -> list[Event]:
        transaction.on_commit(hook)
        return unit.append(stream.id, [note("kept")])

    assert offsets(do(unit)) == [1]
    assert len(everything(stream)) == 1


@pytest.mark.parametrize("way", ["unit", "submit", "append"])
def test_a_unit_cannot_wait_for_another(way: str) -> None:
    stream = make_stream()

    def nested(unit: Unit) -> None:
        if way == "unit":
            do(lambda inner: None)
        elif way == "submit":
            async_to_sync(api.submit)(lambda inner: None, provenance=ADA)
        else:
            async_to_sync(api.append)(stream.id, [note()], provenance=ADA)

    with pytest.raises(SharedStateError, match="cannot wait for another unit"):
        do(nested)


def test_units_have_a_thread_and_a_time_of_their_own() -> None:
    names: list[str] = []

    def look(unit: Unit) -> None:
        names.append(threading.current_thread().name)
        assert unit.now == unit.now
        assert unit.now.tzinfo is not None
        User.objects.create_user("made-in-a-unit")

    do(look)

    assert names == ["writer"]
    assert User.objects.filter(username="made-in-a-unit").exists()
    assert not Stream.objects.exists()
