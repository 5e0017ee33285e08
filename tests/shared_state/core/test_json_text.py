"""What JSON carries here, in and out, and that nothing is walked which cannot be wrong."""

from typing import Any
from unittest.mock import patch

import orjson
import pytest

from shared_state.core import json_text
from shared_state.core.json_text import MAX_DEPTH, decoded, encoded


def nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = [value] if number % 2 else {"a": value}
    return value


def test_what_was_written_at_the_bound_is_read_again() -> None:
    assert decoded(encoded(nested(MAX_DEPTH))) == nested(MAX_DEPTH)


@pytest.mark.parametrize("value", [nested(MAX_DEPTH + 1), [nested(MAX_DEPTH), 2]])
def test_what_is_deeper_is_neither_written_nor_read(value: Any) -> None:
    with pytest.raises(ValueError, match=f"more than {MAX_DEPTH} deep"):
        encoded(value)
    with pytest.raises(ValueError, match=f"more than {MAX_DEPTH} deep"):
        decoded(orjson.dumps(value))


@pytest.mark.parametrize("text", ["[18446744073709551616]", "[-9223372036854775809]", '{"a": 1e999}'])
def test_a_number_that_could_only_be_rounded_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"too large|no number|not finite|inf|number"):
        decoded(text)
    with pytest.raises(ValueError, match=r"too large|no number|not finite|inf|number"):
        decoded(text.encode())


@pytest.mark.parametrize(
    "value", [[18446744073709551615], ["1" * 40], ["a" * 100, "[" * 300], [{"a": 1}] * 300]
)
def test_what_is_wide_or_looks_odd_is_taken_without_a_search_for_faults(value: Any) -> None:
    with patch.object(json_text, "_fault_of", wraps=json_text._fault_of) as looked:
        assert decoded(encoded(value)) == value

    assert looked.call_count <= 3  # the long numbers of small values
