"""What lists of agents cost: the same statements and steps beside thousands of others as beside ten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from entities import presence
from entities.models import Entity
from entities.web import queries
from entities.web.search import search
from shared_state.api import Principal
from shared_state.models import Grant, Stream

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="steps are counted by SQLite's own machine"),
]

ADA, BEN, CLEO = (Principal("user", name) for name in ("ada", "ben", "cleo"))
STEP = 100
"""After how many steps of its machine SQLite calls."""


def people(owner: str, count: int, root: Stream | None = None) -> list[Entity]:
    """Agents of somebody, written past the verbs: what is measured is reading."""
    now, path = timezone.now(), presence.path_of(owner)
    live, _ = Stream.objects.get_or_create(path=path, defaults={"kind": "presence", "owner": owner})
    since = Entity.objects.count()
    urls = [f"/sample/{since + n}" for n in range(count)]
    streams = Stream.objects.bulk_create(
        Stream(path=url, kind="entity", owner=owner, root=root) for url in urls
    )
    parent = Entity.objects.get(stream=root) if root else None
    return Entity.objects.bulk_create(
        Entity(
            type="sample", slug=stream.path.rpartition("/")[2], url=stream.path, stream=stream,
            presence=live, parent=parent, owner=owner, created_by=owner, title=f"Found {n}",
            created_at=now, last_activity_at=now - timedelta(seconds=n),
        )
        for n, stream in enumerate(streams)
    )  # fmt: skip


def cost(look: Callable[[], Any]) -> tuple[int, int]:
    """Queries, and hundreds of steps of SQLite's machine."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.ensure_connection()
    with CaptureQueriesContext(connection) as said:
        connection.connection.set_progress_handler(step, STEP)
        try:
            look()
        finally:
            connection.connection.set_progress_handler(None, STEP)
    return len(said), steps


LOOKS: dict[str, Callable[[Principal], Any]] = {
    "list": queries.families,
    "earlier": lambda who: queries.families(who, before=10**9),
    "search": lambda who: search(who, "found"),
    "nothing found": lambda who: search(who, "nowhere"),
    "family": lambda who: queries.family(who, Entity.objects.get(url="/sample/0")),
    "statuses": lambda who: queries.statuses(who, ["/sample/0", "/sample/1"]),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("who", [ADA, BEN, CLEO], ids=str)
def test_a_list_costs_the_same_beside_thousands_of_others(look: str, who: Principal) -> None:
    tops = people(str(ADA), 10)
    people(str(ADA), 5, tops[0].stream)
    Grant.objects.create(stream=tops[0].stream, principal=str(BEN), role="view")
    people("user:else", 10)
    few = cost(lambda: LOOKS[look](who))

    for one in people("user:else", 3_000)[:3]:
        people("user:else", 500, one.stream)
    many = cost(lambda: LOOKS[look](who))

    assert many[0] == few[0] <= 8
    assert many[1] <= few[1] * 1.5 + 5


def test_each_sees_what_is_theirs() -> None:
    tops = people(str(ADA), 3)
    below = people(str(ADA), 2, tops[0].stream)
    Grant.objects.create(stream=tops[0].stream, principal=str(BEN), role="view")

    def seen(who: Principal) -> set[str]:
        return {each["url"] for each in queries.families(who).agents}

    assert seen(ADA) == {each.url for each in (*tops, *below)}
    assert seen(BEN) == {each.url for each in (tops[0], *below)}
    assert seen(CLEO) == set()
    assert {each["url"] for each in search(BEN, "found").agents} == seen(BEN)
    assert seen(Principal("user", "root", staff=True)) == seen(ADA)


def test_a_search_counts_no_more_than_its_bound() -> None:
    people(str(ADA), 10)
    few, (queries_asked, _) = search(ADA, "found"), cost(lambda: search(ADA, "found"))
    people(str(ADA), 1_500)
    many, (asked_again, _) = search(ADA, "found"), cost(lambda: search(ADA, "found"))

    assert (few.found, few.finding, few.further) == (10, "10 found", None)
    assert (many.found, many.finding) == (1_001, "1,000+ found, 1 to 50 shown")
    assert many.further == 50
    assert search(ADA, "found", 950).further is None
    assert queries_asked == asked_again


@pytest.mark.parametrize("look", ["list", "family"])
@pytest.mark.parametrize("who", [ADA, BEN], ids=str)
def test_a_cut_list_asks_as_much_of_a_family_of_any_size(look: str, who: Principal) -> None:
    (top,) = people(str(ADA), 1)
    Grant.objects.create(stream=top.stream, principal=str(BEN), role="view")
    people(str(ADA), 310, top.stream)
    few = cost(lambda: LOOKS[look](who))
    people(str(ADA), 2_000, top.stream)
    found = LOOKS[look](who)
    many = cost(lambda: LOOKS[look](who))

    assert few[0] == many[0] <= 9
    assert len(found.agents) <= queries.FAMILY + 1
    assert found.cut_families or found.cut == "1,000+"
