"""Parts of many logs are read together, and are what each log alone would say."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared_state import api
from shared_state.core.types import NewEvent, StreamInfo
from shared_state.log.retention import sweep
from shared_state.models import RowRecord
from tests.conformance.writing import do, make_stream

TYPES = ("message", "note")
pytestmark = pytest.mark.django_db(transaction=True)


def filled(number: int) -> StreamInfo:
    stream = make_stream(f"log-{number}")
    events = [NewEvent(TYPES[n % 2], f"k{n}", {"n": n}) for n in range(10 + number)]
    do(lambda unit: unit.append(stream.id, events))
    return stream


def alone(stream: int, type: str, first: int, last: int) -> list[api.Event]:
    found = api.read(stream, after=first - 1, types=[type] if type else None)
    return [event for event in found if event.offset < last]


RANGES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(("", *TYPES)), st.integers(1, 14), st.integers(1, 14)),
    max_size=12,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=RANGES)
def test_each_range_says_what_its_log_says(asked: list[tuple[int, str, int, int]]) -> None:
    streams = list(api.get_streams([f"log-{n}" for n in range(3)]).values()) or [filled(n) for n in range(3)]
    ids = sorted(stream.id for stream in streams)
    ranges = [(ids[number], type, first, last) for number, type, first, last in asked]

    assert api.read_ranges(ranges) == [alone(*each) for each in ranges]


def test_a_value_that_was_left_to_its_row_is_found_there() -> None:
    stream = make_stream("pruned")
    do(
        lambda unit: unit.append(
            stream.id, [NewEvent("step", "s", {"status": "over"}), NewEvent("x", "y", {})]
        )
    )
    rules = {"step": api.Versions(frozenset({"over"}))}
    sweep(stream.id, rules, timezone.now() + timedelta(hours=1))

    [[step, _]] = api.read_ranges([(stream.id, "", 1, 3)])

    assert step.value == {"status": "over"}


def test_nothing_is_asked_for_nothing() -> None:
    assert api.read_ranges([]) == []
    assert api.written_by_others([]) == set()


def test_who_else_has_written_a_row_of_a_type() -> None:
    one, two, three = (make_stream(f"by-{n}") for n in range(3))
    for stream, wake in ((one, "w1"), (two, "w2")):
        who = api.Provenance("agent:/a/b", wake)
        do(lambda unit, s=stream, who=who: unit.append(s.id, [NewEvent("manifest", "m", {})], provenance=who))  # type: ignore[misc]

    asked = [(stream.id, "manifest", "w1") for stream in (one, two, three)]
    assert api.written_by_others(asked) == {two.id}
    assert api.written_by_others([(two.id, "note", "w1")]) == set()
    assert RowRecord.objects.filter(type="manifest").count() == 2


def test_many_values_that_were_left_to_their_rows_are_read_together() -> None:
    stream = make_stream("pruned")
    steps = [NewEvent("step", f"s{number}", {"status": "over", "n": number}) for number in range(30)]
    do(lambda unit: unit.append(stream.id, steps))
    do(lambda unit: unit.append(stream.id, [NewEvent("step", "s3", {"status": "over", "n": -1}, "upsert")]))
    rules = {"step": api.Versions(frozenset({"over"}))}
    sweep(stream.id, rules, timezone.now() + timedelta(hours=1))

    with CaptureQueriesContext(connection) as queries:
        [found] = api.read_ranges([(stream.id, "", 1, 40)])

    assert len(queries) == 2
    assert found == list(api.read(stream.id, after=0))
    assert sorted(event.value["n"] for event in found) == sorted({-1, *range(30)} - {3})
