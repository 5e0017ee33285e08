"""What one append does, and what it refuses. The same on every database."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared_state import api
from shared_state.core.types import Event, NewEvent, Provenance
from shared_state.exceptions import InvalidRow, StreamClosed, StreamExists, StreamNotFound, TooLarge
from shared_state.models import EventRecord, RowRecord, Stream
from shared_state.write.unit import Unit
from tests.conformance.writing import ADA, append, do, everything, make_stream, note, offsets, plainly, run


def test_offsets_begin_at_one_and_have_no_gaps() -> None:
    stream = make_stream()

    events = [*append(stream, note(), note()), *plainly(stream, note(), note())]

    assert offsets(events) == [1, 2, 3, 4]
    assert api.get_stream(stream.path).head == 4


def test_what_is_answered_is_what_is_read() -> None:
    stream = make_stream()
    value = {"pair": (1, 2), "when": datetime(2026, 1, 2, tzinfo=UTC), "text": "é 🌍", "none": None, "n": 1.5}

    answered = [
        *plainly(stream, note("a", value=value)),
        *append(stream, note("a", "update", keep_old=True, n=2)),
    ]

    assert answered == everything(stream)
    assert answered[0].value["pair"] == [1, 2]
    assert answered[1].old == answered[0].value


def test_what_is_answered_is_no_longer_the_callers() -> None:
    stream = make_stream()
    tags = ["one"]

    def twice(unit: Unit) -> list[Event]:
        first = unit.append(stream.id, [note("a", tags=tags)])
        tags.append("two")
        return first

    (event,) = do(twice)

    assert event.value == {"tags": ["one"]}
    assert api.row(stream.id, "note", "a").value == {"tags": ["one"]}  # type: ignore[union-attr]


def test_every_event_and_row_knows_where_it_comes_from() -> None:
    stream = make_stream()
    provenance = Provenance("agent:/debate/1", "3", "3.0", "3.0-s1-c0")

    (event,) = plainly(stream, note("a"), provenance=provenance)
    row = api.row(stream.id, "note", "a")

    assert row is not None
    assert event.provenance == row.provenance == everything(stream)[0].provenance == provenance
    assert event.timestamp == row.created_at == row.updated_at
    assert abs(datetime.now(UTC) - event.timestamp) < timedelta(minutes=1)  # the database has its own clock


def test_a_part_of_a_unit_may_have_an_origin_of_its_own() -> None:
    stream = make_stream()

    do(lambda unit: unit.append(stream.id, [note()], provenance=Provenance("system:scheduler")))

    assert everything(stream)[0].provenance.writer == "system:scheduler"


def test_a_value_may_be_as_large_as_the_setting_says_in_bytes(settings: pytest.FixtureDef[None]) -> None:
    settings.SHARED_STATE = {"MAX_EVENT_BYTES": 100}  # type: ignore[attr-defined]
    stream = make_stream()

    plainly(stream, note(text="x" * 89))
    with pytest.raises(TooLarge, match="101 bytes; one event may carry 100"):
        plainly(stream, note(text="x" * 90))
    with pytest.raises(TooLarge):
        plainly(stream, note(text="é" * 60))

    assert len(everything(stream)) == 1


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (note(value={"n": object()}), "not JSON"),
        (note(value={"n": 2**70}), "not JSON"),
        (note(value={"text": "\ud83c"}), "not JSON"),
        (note(value=["a list"]), "must be a JSON object"),
        (note(value=None), "must be a JSON object"),
        (note(text="a\0b"), "NUL"),
        (note("k" * 256), "1 to 255 characters"),
        (NewEvent("", "a", {}), "1 to 100 characters"),
        (NewEvent("note", "", {}), "1 to 255 characters"),
        (NewEvent("note", 7, {}), "1 to 255 characters"),  # type: ignore[arg-type]
        (note("a\0b"), "cannot be stored"),
        (note("\ud83c"), "cannot be stored"),
        (note(client_key="k" * 256), "1 to 255 characters"),
    ],
)
@pytest.mark.parametrize("way", [plainly, append])
def test_what_no_database_can_hold_is_refused_on_all(way: object, event: NewEvent, reason: str) -> None:
    stream = make_stream()

    with pytest.raises(InvalidRow, match=reason):
        way(stream, note(), event)  # type: ignore[operator]

    assert everything(stream) == []


def test_a_backslash_before_what_looks_like_a_nul_is_text() -> None:
    stream = make_stream()

    plainly(stream, note("a", text="\\u0000"))

    assert everything(stream)[0].value == {"text": "\\u0000"}


def test_an_unknown_stream_is_the_callers_fault_alone() -> None:
    stream = make_stream()

    async def beside_others() -> list[list[Event] | BaseException]:
        calls = [api.append(n, [note()], provenance=ADA) for n in (stream.id, 10**9, stream.id)]
        return await asyncio.gather(*calls, return_exceptions=True)

    first, unknown, third = run(beside_others())

    assert isinstance(unknown, StreamNotFound)
    assert "There is no stream 1000000000" in str(unknown)
    assert [first[0].offset, third[0].offset] == [1, 2]  # type: ignore[index]


def test_a_closed_stream_takes_nothing_more_but_answers_for_what_it_took() -> None:
    stream = make_stream()
    plainly(stream, note("a", client_key="once"))
    do(lambda unit: unit.change_stream(stream.id, closed=True))

    with pytest.raises(StreamClosed, match=f"{stream.path} is closed"):
        plainly(stream, note())
    (again,) = plainly(stream, note("a", client_key="once"))

    assert again.repeated
    assert len(everything(stream)) == 1


def test_an_append_is_done_entirely_or_not_at_all() -> None:
    stream = make_stream()
    plainly(stream, note("taken"))

    def careless(unit: Unit) -> None:
        with pytest.raises(api.RowExists):
            unit.append(stream.id, [note("new"), note("taken")])
        unit.append(stream.id, [note("after")])

    do(careless)
    with pytest.raises(api.RowExists):
        plainly(stream, note("new"), note("taken"))

    assert [event.key for event in everything(stream)] == ["taken", "after"]
    assert [row.key for row in api.rows(stream.id, "note")] == ["taken", "after"]


def test_nothing_to_append_is_nothing() -> None:
    stream = make_stream()

    assert plainly(stream) == []
    assert api.get_stream_by_id(stream.id).head == 0


def test_a_path_is_taken_once() -> None:
    make_stream("/room/same")

    with pytest.raises(StreamExists, match="'/room/same'"):
        make_stream("/room/same")

    assert Stream.objects.filter(path="/room/same").count() == 1


@pytest.mark.parametrize("path", ["", "/" * 256])
def test_a_path_has_a_length(path: str) -> None:
    with pytest.raises(api.SharedStateError, match="1 to 255 characters"):
        do(lambda unit: unit.create_stream(path, "entity", "user:ada"))


def test_only_some_fields_of_a_stream_can_be_changed() -> None:
    stream = make_stream()

    with pytest.raises(TypeError, match="head, owner"):
        do(lambda unit: unit.change_stream(stream.id, head=7, owner="user:cleo"))


def test_log_only_events_leave_no_rows() -> None:
    stream = make_stream()

    plainly(stream, note("a", fold=False), note("a", fold=False, n=2))

    assert EventRecord.objects.filter(stream=stream.id, operation="insert").count() == 2
    assert not RowRecord.objects.filter(stream=stream.id).exists()
