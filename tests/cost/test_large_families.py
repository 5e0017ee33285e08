"""What a family of thousands costs on a page: as much as one that just exceeds what is listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from entities.models import Entity
from entities.upkeep.pruner import Pruner
from entities.web import census, queries
from entities.web.search import search
from shared_state.api import Principal
from shared_state.models import Grant
from tests.cost.test_lists import ADA, BEN, CLEO, cost, people
from tests.support.plans import records_seen, sent_statements

DAN = Principal("user", "dan")
"""Has been granted one member of the family alone."""
STAFF = Principal("user", "root", staff=True)
FEW, MANY = 1_500, 20_000
"""More members than are listed or counted, and many more."""


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def work(look: Callable[[], Any]) -> int:
    """Records that PostgreSQL looks at for it, or hundreds of steps of SQLite's machine."""
    if connection.vendor == "sqlite":
        return cost(look)[1]
    with sent_statements() as sent:
        look()
    return sum(records_seen(each, MANY) for each in sent if each.startswith("SELECT"))


def looks(who: Principal) -> dict[str, int]:
    """The work of each look at the family that begins with the first agent."""
    top, member = (Entity.objects.select_related("stream").get(url=f"/sample/{MANY + n}") for n in (0, 6))
    return {
        f"{who} {name}": work(look)
        for name, look in {
            "list": lambda: queries.families(who),
            "family": lambda: queries.family(who, top),
            "further": lambda: queries.family(who, top, member.stream_id),
            "member": lambda: queries.family(who, member),
            "children": lambda: list(queries.children(who, top)[:31]),
            "census": lambda: census.count(queries.children(who, top)),
            "search": lambda: search(who, "found"),
            "nothing found": lambda: search(who, "nowhere"),
        }.items()
    }


def everybody() -> dict[str, int]:
    return {name: work for who in (ADA, BEN, CLEO, DAN, STAFF) for name, work in looks(who).items()}


def test_a_page_costs_the_same_whether_a_family_is_large_or_very_large(monkeypatch: Any) -> None:
    monkeypatch.setattr("entities.web.search.SEARCHED", 1_000)
    people("user:else", 10)
    analyze()  # while everything is small
    Pruner("test").step()
    people("user:else", MANY - 10)
    (top,) = people(str(ADA), 1)
    members = people(str(ADA), FEW, top.stream)
    Grant.objects.create(stream=top.stream, principal=str(BEN), role="view")
    Grant.objects.create(stream=members[5].stream, principal=str(DAN), role="view")
    if connection.vendor == "postgresql":
        analyze()
    few = everybody()

    people(str(ADA), MANY, top.stream)
    people(str(ADA), 100)
    people("user:else", 100)
    # PostgreSQL's own statistics come at a time that no test knows; SQLite has none for now.
    unknown = everybody() if connection.vendor == "sqlite" else {}
    analyze()
    known = everybody()

    # PostgreSQL reads the whole of a small table; it does not of a large one.
    bound = 6 * census.COUNTED if connection.vendor == "postgresql" else 0
    for many in (unknown, known):
        grown = {name: (few[name], done) for name, done in many.items() if done > few[name] * 1.5 + 30}
        assert {name: done for name, done in grown.items() if done[1] > bound} == {}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps its statistics up to date")
def test_sqlite_forgets_what_it_was_told_of_tables() -> None:
    people(str(ADA), 10)
    look = "SELECT id FROM shared_state_stream WHERE path = 'x' OR id IN (1, 2, 3)"
    assert records_seen(look, MANY) == 0
    analyze()
    assert records_seen(look, MANY) == MANY

    Pruner("test").step()

    assert records_seen(look, MANY) == 0
