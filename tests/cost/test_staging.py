"""What staging costs: few looks, and one commit, whatever the number of changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from entities.types.registry import Registry
from shared_state.log import draft
from shared_state.write.sql import SqliteDialect
from tests.conformance.conftest import types  # noqa: F401  the fixture
from tests.support.acting import Acting
from tests.support.statements import statements

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="statements are traced by SQLite's driver"),
]


def counted(looks: list[str], real: Callable[..., Any]) -> Callable[..., Any]:
    def look(*asked: Any) -> Any:
        looks.append(real.__name__)
        return real(*asked)

    return look


async def cost(actor: Acting, changes: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """How often a block looked at rows and keys, and the statements of the one commit, by first words."""
    looks: list[str] = []
    said: list[str] = []
    during = 0

    async def act(ctx: Any) -> None:
        nonlocal during
        with statements() as heard:
            async with ctx.atomic():
                for name in ("rows", "repeated"):
                    monkeypatch.setattr(SqliteDialect, name, counted(looks, getattr(SqliteDialect, name)))
                for number in range(changes):
                    await ctx.state.mine.insert(key=f"{changes}-{number}")
                assert not [each for each in heard if each.startswith(("INSERT", "BEGIN", "SAVEPOINT"))]
                during = len(looks)
                heard.clear()
            said.extend(each for each in heard if not each.startswith("PRAGMA"))

    assert await actor.do(act) is None
    monkeypatch.undo()
    begin, end = said.index(next(each for each in said if each.startswith("BEGIN"))), said.index("COMMIT")
    return during, list(dict.fromkeys(each[:20] for each in said[begin : end + 1]))


async def test_a_thousand_changes_look_as_often_as_twenty(
    types: Registry,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor = Acting(types)
    await cost(actor, 1, monkeypatch)

    few, first = await cost(actor, 20, monkeypatch)
    many, last = await cost(actor, 1_000, monkeypatch)

    assert few == many == draft.FEW_LOOKS + 1
    assert first == last
