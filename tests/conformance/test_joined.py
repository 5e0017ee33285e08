"""A unit inside `atomic()` is part of the caller's transaction, and of nothing else."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError

from entities.api import NewEntity, deliver_now, registry, spawn_now
from entities.models import Wake
from shared_state import api
from shared_state.core.types import Event, Fence, Hint, Principal
from shared_state.exceptions import SharedStateError, StaleEpoch
from shared_state.notify import bus
from shared_state.write.unit import Unit
from tests.conformance.test_append_observed import observed_stream, receiving
from tests.conformance.writing import append, do, everything, make_stream, note, offsets, plainly

Said = list[tuple[list[Hint], list[str]]]


class Wrong(Exception):
    """What goes wrong in these tests."""


@contextmanager
def listening() -> Iterator[Said]:
    """What is announced meanwhile: hints with the keys of the events that came along."""
    said: Said = []

    def hear(hints: Sequence[Hint], events: Sequence[Event]) -> None:
        said.append((list(hints), [event.key for event in events]))

    bus.default().watch(hear)
    try:
        yield said
    finally:
        bus.default().unwatch(hear)


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or a savepoint of one, that comes to nothing."""
    with suppress(Wrong), transaction.atomic():
        yield
        raise Wrong


def test_it_runs_here_and_is_committed_with_the_caller() -> None:
    stream, threads = make_stream(), []

    def unit(unit: Unit) -> list[Event]:
        threads.append(threading.current_thread())
        return unit.append(stream.id, [note("a")])

    with transaction.atomic():
        Group.objects.create(name="the caller's own")
        (event,) = do(unit)
        assert (event.offset, offsets(api.read(stream.id))) == (1, [1])

    assert threads == [threading.current_thread()]
    assert [event.key for event in everything(stream)] == ["a"]
    assert api.get_stream_by_id(stream.id).head == 1


def test_what_the_caller_rolls_back_was_never_there_nor_said() -> None:
    stream = make_stream()

    with listening() as said:
        with rolled_back():
            append(stream, note("gone", client_key="k"))
        assert said == []
        append(stream, note("next"))
        (kept,) = plainly(stream, note("again", client_key="k"))

    assert [(event.offset, event.key) for event in everything(stream)] == [(1, "next"), (2, "again")]
    assert not kept.repeated
    assert api.row(stream.id, "note", "gone") is None
    assert [keys for _, keys in said] == [["next"], ["again"]]


def test_hints_go_out_after_the_commit_and_not_before() -> None:
    stream = make_stream()

    with listening() as said, transaction.atomic():
        append(stream, note("a"))
        append(stream, note("b"))
        assert said == []

    assert said == [([Hint(stream.id, 1)], ["a"]), ([Hint(stream.id, 2)], ["b"])]


def test_what_an_inner_savepoint_takes_back_is_not_said() -> None:
    stream = make_stream()

    with listening() as said, transaction.atomic():
        append(stream, note("a"))
        with rolled_back():
            append(stream, note("gone"))
        append(stream, note("b"))

    assert [(event.offset, event.key) for event in everything(stream)] == [(1, "a"), (2, "b")]
    assert [keys for _, keys in said] == [["a"], ["b"]]


@pytest.mark.parametrize("error", [Wrong(), IntegrityError("x"), KeyboardInterrupt()])
def test_a_failing_unit_is_undone_alone_and_the_caller_goes_on(error: BaseException) -> None:
    stream = make_stream()

    def fails(unit: Unit) -> None:
        unit.append(stream.id, [note("gone")])
        Group.objects.create(name="gone")
        unit.rows(stream.id, "note")
        raise error

    with transaction.atomic():
        append(stream, note("before"))
        Group.objects.create(name="kept")
        with pytest.raises(type(error)):
            do(fails)
        append(stream, note("after"))

    assert [(event.offset, event.key) for event in everything(stream)] == [(1, "before"), (2, "after")]
    assert [group.name for group in Group.objects.all()] == ["kept"]


def test_units_of_one_transaction_see_each_other() -> None:
    with transaction.atomic():
        stream = make_stream()
        (first,) = append(stream, note("a", n=1))
        (second,) = append(stream, note("a", "update", n=2, expect_version=first.offset))
        (again,) = append(stream, note("b", client_key="k"))
        (repeated,) = append(stream, note("b", client_key="k"))

    assert (second.offset, again.offset, repeated.offset, repeated.repeated) == (2, 3, 3, True)
    row = api.row(stream.id, "note", "a")
    assert row is not None
    assert (row.value, row.version) == ({"n": 2}, 2)


def test_a_key_that_was_used_before_repeats_inside_a_transaction() -> None:
    stream = make_stream()
    (first,) = plainly(stream, note("a", client_key="k"))

    with listening() as said, transaction.atomic():
        (repeated,) = append(stream, note("a", client_key="k"))

    assert (repeated.offset, repeated.repeated) == (first.offset, True)
    assert said == []
    assert len(everything(stream)) == 1


def test_who_lost_the_lease_is_refused_and_the_caller_goes_on() -> None:
    stream = make_stream()
    do(lambda unit: unit.streams.raise_epoch(stream.id))

    with transaction.atomic():
        with pytest.raises(StaleEpoch):
            append(stream, note("late"), fence=Fence(stream.id, 0))
        append(stream, note("held"), fence=Fence(stream.id, 1))

    assert [event.key for event in everything(stream)] == ["held"]


def test_observers_hear_of_it_within_the_transaction() -> None:
    stream, other = observed_stream(), make_stream()

    def receiver(unit: Unit, events: list[Event], **_: Any) -> None:
        unit.append(other.id, [note(f"woken by {event.key}") for event in events])

    with receiving(receiver), rolled_back():
        append(stream, note("a"))
        assert [event.key for event in everything(other)] == ["woken by a"]

    assert everything(stream) == everything(other) == []


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_left_for_the_end_is_done_at_the_units_end_or_undoes_it(fails: bool) -> None:
    stream, last = make_stream(), make_stream()

    def end(left: Sequence[tuple[Unit, Any]]) -> None:
        left[0][0].append(last.id, [note("last")])
        if fails:
            raise Wrong

    def unit(unit: Unit) -> None:
        unit.later(end, "", None)
        unit.append(stream.id, [note("first")])

    with transaction.atomic():
        try:
            do(unit)
        except Wrong:
            assert fails
        Group.objects.create(name="kept")

    assert [len(everything(one)) for one in (stream, last)] == ([0, 0] if fails else [1, 1])
    assert Group.objects.exists()


def test_a_transaction_that_is_broken_takes_no_unit() -> None:
    stream = make_stream()

    def insert_twice() -> None:
        Group.objects.create(name="once")
        with pytest.raises(IntegrityError), transaction.atomic(savepoint=False):
            Group.objects.create(name="once")
        with pytest.raises(TransactionManagementError):
            append(stream, note())

    with transaction.atomic():
        insert_twice()

    assert everything(stream) == []


def test_a_transaction_by_hand_is_refused_rather_than_waited_for() -> None:
    stream = make_stream()
    transaction.set_autocommit(False)
    try:
        with pytest.raises(SharedStateError, match="managed by hand"):
            append(stream, note())
    finally:
        transaction.set_autocommit(True)

    assert everything(stream) == []


def test_the_writer_waits_for_the_caller_and_goes_on_where_it_ended() -> None:
    stream, answers = make_stream(), []

    def write() -> None:
        answers.append(plainly(stream, note("the writer's")))
        connection.close()

    beside = threading.Thread(target=write)
    with transaction.atomic():
        append(stream, note("one"))
        beside.start()
        beside.join(0.1)  # long enough for the writer to want the lock that is held here
        append(stream, note("two"))
        assert answers == []
    beside.join(20)

    assert [event.key for event in everything(stream)] == ["one", "two", "the writer's"]
    assert offsets(everything(stream)) == [1, 2, 3]


def test_an_agent_is_made_and_told_in_a_transaction_or_not_at_all() -> None:
    registry.store()
    ada = Principal("user", "ada")

    with listening() as said:
        with rolled_back():
            spawn_now(ada, NewEntity("assistant", "one", message="hello"))
        assert (said, Wake.objects.count()) == ([], 0)
        with transaction.atomic():
            agent = spawn_now(ada, NewEntity("assistant", "one", message="hello"))
            deliver_now(ada, agent.url, "and more")

    assert Wake.objects.count() == 1
    assert len(said) == 2
    presence = api.get_stream("presence:user:ada")
    assert [event.key for event in everything(presence)] == [agent.url] * presence.head
