"""Concrete words for a debate: who pays, who would pay, what could be measured, by field of life."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from entities.offline.phrases import texts


@dataclass(frozen=True, slots=True)
class Domain:
    """Phrases that fit into the sentences of `texts/debate_policy.toml`.

    `bill` and `measure` are lists of nouns, `burdened` and `exposed` one person each, `trial` and
    `gentler` noun phrases, `good_ripple` a verb phrase after "would", `risk`, `risk_moved` and
    `bad_ripple` whole clauses. `opens` is the usual direction of proposals in the field: True for allowing
    and building, False for forbidding and reducing, None for both.
    """

    bill: str
    burdened: str
    exposed: str
    risk: str
    risk_moved: str
    trial: str
    measure: str
    good_ripple: str
    bad_ripple: str
    gentler: str
    opens: bool | None = None


def words_for(question: str, opens: bool | None) -> Domain:
    """The words for a topic: those of the field with the most keywords in it, else general ones."""
    words = re.findall(r"[a-z][a-z.\-]*[a-z]", question.lower())
    general = _domain(texts("debate_domains")["general"]["opening" if opens else "closing"])
    hits = [(sum(word in keywords for word in words), field) for keywords, field in _fields()]
    score, best = max(hits, key=lambda hit: hit[0])
    if not score:
        return general
    if opens is None or best.opens is None or opens == best.opens:
        return best
    # The field's people and dangers were chosen for the other direction; its figures fit both.
    return replace(general, measure=best.measure, trial=best.trial)


@cache
def _fields() -> tuple[tuple[frozenset[str], Domain], ...]:
    fields = texts("debate_domains")["fields"]
    return tuple((frozenset(field["keywords"].split()), _domain(field)) for field in fields)


def _domain(table: dict[str, Any]) -> Domain:
    return Domain(**{key: value for key, value in table.items() if key != "keywords"})
