"""Rows by the values of their fields: chosen by the database, and exactly those that Python would choose."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from entities.types.registry import Registry
from shared_state.api import NewEvent, StreamNotFound, committed, get_stream, get_streams
from tests.conformance.writing import append, make_stream
from tests.support.acting import Acting

pytestmark = pytest.mark.django_db(transaction=True)
VALUES: list[Any] = [
    None, True, False, 0, 0.0, -0.0, 1, 2, -2, 1.0, 2.0, 2.5, 0.1, -1e-7, 2**53 + 1, 10**15, "",
    "2", "true", "null", "a", "A", "ä", 'quo"te', "back\\slash", "%", "a.b", [], [2], {}, {"a": 1}, "2.0",
]  # fmt: skip
NAMES = ("n", "exact", "contains", "a.b", "0", 'quo"te', "ünï")


@pytest.mark.parametrize("name", NAMES)
def test_equal_is_what_python_calls_equal(name: str) -> None:
    stream = make_stream()
    rows = [{name: value} for value in VALUES] + [{"other": 1}]
    append(stream, *(NewEvent("note", f"k{n:02d}", row) for n, row in enumerate(rows)))

    for wanted in VALUES:
        found = [row.key for row in committed.rows_where(stream.id, "note", {name: wanted})]
        assert found == [f"k{n:02d}" for n, row in enumerate(rows) if row.get(name) == wanted], repr(wanted)


def test_only_what_fits_is_loaded() -> None:
    stream = make_stream()
    append(stream, *(NewEvent("note", f"k{n}", {"who": f"w{n % 100}", "n": n}) for n in range(300)))

    with CaptureQueriesContext(connection) as asked:
        found = committed.rows_where(stream.id, "note", {"who": "w7", "n": 107})
        count = committed.count_of(stream.id, "note")

    assert ([row.key for row in found], count, len(asked)) == (["k107"], 300, 2)
    assert "who" in asked[0]["sql"]
    assert "COUNT(" in asked[1]["sql"].upper()


@pytest.mark.parametrize("wanted", [0, 1, True, False, 0.5, None])
def test_the_database_chooses_by_every_plain_value(wanted: Any) -> None:
    stream = make_stream()
    rows = [NewEvent("note", f"k{n}", {"n": n + 2}) for n in range(100)]
    append(stream, *rows, NewEvent("note", "it", {"n": wanted}))

    with CaptureQueriesContext(connection) as asked:
        found = committed.rows_where(stream.id, "note", {"n": wanted})

    assert [row.key for row in found] == ["it"]
    with connection.cursor() as cursor:
        cursor.execute(asked[0]["sql"])
        assert len(cursor.fetchall()) == 1


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800"])
def test_what_no_database_keeps_is_nowhere(text: str) -> None:
    stream = make_stream()
    append(stream, NewEvent("note", "a", {"n": "a"}))

    assert committed.rows_where(stream.id, "note", {"n": text}) == []
    assert committed.row(stream.id, "note", text) is None
    assert get_streams([text]) == {}
    with pytest.raises(StreamNotFound):
        get_stream(text)


async def test_inside_an_atomic_block_what_is_staged_counts(types: Registry) -> None:
    actor = Acting(types)
    seen: list[Any] = []

    async def act(ctx: Any) -> None:
        mine = ctx.state.mine
        await mine.insert(key="a", who="me")
        await mine.insert(key="b", who="me")
        await mine.insert(key="c", who="you")
        async with ctx.atomic():
            await mine.delete("a")
            await mine.update("c", who="me")
            await mine.insert(key="d", who="me")
            await mine.insert(key="e", who="you")
            seen.append((await mine.count(), [row["key"] for row in await mine.filter(who="me")]))
        seen.append((await mine.count(), [row["key"] for row in await mine.filter(who="me")]))

    assert await actor.do(act) is None
    assert seen == [(4, ["b", "c", "d"])] * 2
