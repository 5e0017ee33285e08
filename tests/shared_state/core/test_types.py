"""Values: offsets that leave the process, principals, the wire form."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_state.core.types import Event, Principal, Provenance, format_offset, parse_offset
from shared_state.exceptions import (
    InvalidOffset,
    InvalidRow,
    RowExists,
    SharedStateError,
    StaleEpoch,
    StreamNotFound,
    TooLarge,
    VersionConflict,
)

OFFSETS = st.integers(0, 10**32 - 1)


@given(OFFSETS)
def test_an_offset_survives_its_journey(offset: int) -> None:
    assert parse_offset(format_offset(offset)) == offset


@given(OFFSETS, OFFSETS)
def test_offsets_are_ordered_bytewise(one: int, two: int) -> None:
    assert (one < two) == (format_offset(one).encode() < format_offset(two).encode())


def test_the_beginning_is_all_zeros() -> None:
    assert format_offset(0) == "0000000000000000_0000000000000000"
    assert format_offset(41) == "0000000000000000_0000000000000041"


ONE = format_offset(1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "41",
        "0" * 33,
        ONE.replace("_", "-"),
        ONE[:-1],
        f" {ONE}",
        f"{ONE}\n",
        ONE.replace("1", "\u0661"),
        41,
        None,
    ],
)
def test_what_is_not_an_offset_is_refused(text: object) -> None:
    with pytest.raises(InvalidOffset, match="is not an offset: sixteen digits"):
        parse_offset(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["user:ada", "agent:/debate/1", "service:ci", "system:scheduler", "user:a:b"]
)
def test_a_principal_reads_what_it_writes(text: str) -> None:
    assert str(Principal.parse(text)) == text
    assert not Principal.parse(text).staff


@pytest.mark.parametrize("text", ["", "ada", "user:", ":ada", "admin:ada", "User:ada"])
def test_no_identity_is_no_principal(text: str) -> None:
    with pytest.raises(ValueError, match="is not a principal"):
        Principal.parse(text)


def test_an_event_has_its_wire_form() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    event = Event(
        7,
        42,
        "inbox",
        "m1",
        "update",
        {"n": 2},
        moment,
        Provenance("user:ada", "3", tool_call="c0"),
        {"n": 1},
    )

    assert event.wire() == {
        "type": "inbox",
        "key": "m1",
        "value": {"n": 2},
        "headers": {
            "operation": "update",
            "offset": format_offset(42),
            "timestamp": "2026-01-02T03:04:05+00:00",
            "txid": "1767323045000000",
            "writer": "user:ada",
            "wake": "3",
            "tool_call": "c0",
            "old_value": {"n": 1},
        },
    }


def test_errors_explain_themselves() -> None:
    for error in (SharedStateError, StreamNotFound, StaleEpoch, TooLarge, InvalidRow, RowExists):
        assert str(error()) == (error.__doc__ or "").strip()
    assert VersionConflict(current={"n": 1}, version=3).version == 3
