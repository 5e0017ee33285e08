"""Verbs: what they named is locked beforehand; for what they did not name they are run again."""

import pytest

from shared_state import api
from shared_state.api import Needs, Unit, Verb
from shared_state.exceptions import StreamNotFound
from shared_state.write import batch
from tests.conformance.writing import ADA, do, everything, make_stream, note, offsets


def test_a_verb_that_named_its_streams_runs_once() -> None:
    streams = [make_stream() for _ in range(3)]
    runs = []

    def work(unit: Unit) -> None:
        runs.append([unit.append(stream.id, [note()]) for stream in reversed(streams)])

    do(Verb(work, Needs(tuple(stream.id for stream in streams))))

    assert len(runs) == 1
    assert [offsets(everything(stream)) for stream in streams] == [[1], [1], [1]]


def test_a_verb_may_come_to_any_number_of_streams_that_it_did_not_name() -> None:
    streams = [make_stream() for _ in range(2 * batch.ATTEMPTS)]
    runs = []

    def work(unit: Unit) -> int:
        runs.append(1)
        return len([unit.append(stream.id, [note()]) for stream in reversed(streams)])

    assert do(Verb(work, Needs())) == len(streams)

    assert len(runs) == len(streams) + 1  # each came to one more
    assert [offsets(everything(stream)) for stream in streams] == [[1]] * len(streams)


def test_a_stream_that_is_not_there_is_said_and_not_waited_for() -> None:
    def work(unit: Unit) -> None:
        unit.append(10**9, [note()])

    with pytest.raises(StreamNotFound):
        do(Verb(work, Needs()))


def test_a_verb_that_fails_is_undone_and_what_is_written_with_it_stays() -> None:
    stream = make_stream()

    def work(unit: Unit) -> None:
        unit.append(stream.id, [note()])
        unit.change_stream(stream.id, observed=True)
        raise ValueError("not this one")

    def both(unit: Unit) -> None:
        unit.append(stream.id, [note()])

    do(Verb(both, Needs((stream.id,))))
    with pytest.raises(ValueError, match="not this one"):
        api.unit(Verb(work, Needs((stream.id,))), provenance=ADA)

    assert offsets(everything(stream)) == [1]
    assert not api.get_stream_by_id(stream.id).observed
