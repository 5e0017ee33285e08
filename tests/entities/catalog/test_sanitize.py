"""What others say is made fit to be kept, whatever it is: shown for values that nobody thought of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entities.catalog import log, sanitize
from entities.exceptions import InvalidInput
from shared_state.api import MAX_DEPTH, decoded, encoded, fault

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.binary(max_size=9)
    | st.complex_numbers()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.integers(), inner, max_size=4),
    max_leaves=20,
)


class Odd:
    """An object whose every word is an error."""

    def __str__(self) -> str:
        raise SystemError("no words")

    __repr__ = __str__


class OddError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_whatever_is_made_to_fit_can_be_kept_and_read_back(value: Any) -> None:
    fit = sanitize.fitted(value)
    assert decoded(encoded(fit)) == fit
    assert sanitize.fitted(fit) == fit


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_arguments_are_taken_with_their_values_or_refused_in_words(value: Any) -> None:
    raw = json.dumps({"a": value}, default=str, skipkeys=True)
    try:
        found = sanitize.called_with(raw)
    except ValueError:
        return
    assert decoded(encoded(found)) == found


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_the_log_takes_every_text(text: str) -> None:
    event = log.new(
        "signal", "s1", {"signal": "SIGINT", "sender": "user:ada", "reason": text, "payload": [text]}
    )
    encoded(event.value)


@pytest.mark.parametrize(
    "value",
    [nested(5_000), {"a": Odd()}, [2**90] * 3, {1: {2: b"\xff"}}, {"x" * 90: "y" * 900_000}, [[0] * 99_999]],
)
def test_what_is_too_deep_too_large_or_foreign_is_cut_or_said(value: Any) -> None:
    assert len(encoded(sanitize.fitted(value, 10_000))) < 40_000


def test_what_lies_in_itself_is_cut() -> None:
    value: list[Any] = []
    value += [value, value]
    encoded(sanitize.fitted(value, 1_000))


def test_an_error_without_words_is_its_name() -> None:
    assert sanitize.said(OddError()) == "OddError"
    assert sanitize.said(ValueError("a\x00\ud800"), named=True) == "ValueError: a\ufffd?"


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 251, 400])
def test_one_bound_of_depth_holds_in_both_directions(depth: int) -> None:
    value, text = nested(depth), "[" * depth + "1" + "]" * depth
    if depth <= MAX_DEPTH:
        assert decoded(encoded(value)) == decoded(text) == value
        return
    with pytest.raises(ValueError, match="deep"):
        encoded(value)
    with pytest.raises(ValueError, match="deep"):
        decoded(text)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, float("nan")]}, "a.1"),
        ({"a": {"b": 2**64}}, "a.b"),
        ({"a": b"x"}, "a"),
        ({"a": "\x00"}, "a"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(ValueError, match=f"^{place}: "):
        encoded(value)
    assert fault(value).startswith(f"{place}: ")


def test_a_number_that_would_be_rounded_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n: an integer of 77 bits"):
        decoded('{"n": 123456789012345678901234}')
    assert decoded('{"n": "123456789012345678901234", "m": 18446744073709551615}')["m"] == 2**64 - 1


def test_an_event_that_holds_no_json_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput):
        log.new("signal", "s1", {"signal": "SIGINT", "sender": "user:ada", "payload": {"a": Odd()}})
