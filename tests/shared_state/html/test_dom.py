"""Ids of elements: any key has one, no two share one, and it can be read back."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from shared_state.html.dom import dom_id, parse_dom_id

KEYS = st.text(max_size=30)


@given(KEYS)
def test_an_id_is_safe_wherever_ids_stand(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+", dom_id("msg", key))


@given(KEYS, KEYS)
def test_two_keys_never_share_an_id(one: str, other: str) -> None:
    assert (dom_id("msg", one) == dom_id("msg", other)) == (one == other)


@given(st.tuples(KEYS, KEYS), st.tuples(KEYS, KEYS))
def test_two_pairs_never_share_an_id(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (dom_id("row", *one) == dom_id("row", *other)) == (one == other)


@given(KEYS)
def test_an_id_can_be_read_back(key: str) -> None:
    assert parse_dom_id(dom_id("tool", key)) == ("tool", key)
