"""What reading a log costs: statements by pages, not by events; nothing that grows with the log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from shared_state.log import wire
from tests.conformance.writing import do, make_stream, note
from tests.support.statements import statements

pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="statements are traced by SQLite's driver"
)


@pytest.fixture
def said() -> Iterator[list[str]]:
    with statements() as said:
        yield said


@pytest.mark.parametrize("types", [None, ["note"]])
def test_a_page_of_a_log_is_one_statement(types: list[str] | None, said: list[str]) -> None:
    stream = make_stream()
    counts = []
    for _ in range(3):
        do(lambda unit: unit.append(stream.id, [note() for _ in range(1_500)]))
        said.clear()
        page = wire.page(stream.id, 0, 10_000, types, wire.Plain())
        counts.append((len(page.events), len(said)))

    assert counts == [(1_000, 1)] * 3


def test_rare_types_are_found_without_walking_the_log(said: list[str]) -> None:
    stream = make_stream()
    do(lambda unit: unit.append(stream.id, [note() for _ in range(5_000)]))
    said.clear()

    page = wire.page(stream.id, 0, 100, ["rare", "none"], wire.Plain())

    assert (page.events, page.complete) == ([], True)
    assert len(said) <= 6
