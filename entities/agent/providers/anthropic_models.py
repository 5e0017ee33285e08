"""What each Claude model takes for thinking and effort; the API refuses the wrong form with a 400.

Facts of November 2026, from the API's page "Troubleshooting thinking" and the migration guides. Sampling
parameters do not occur: version 2026-10-21 of the API has removed them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from entities.agent.model import ModelRefused

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""All efforts, in rising order."""

BUDGETS = {"low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
"""Thinking tokens for the models before 4.6, which know a budget and no effort."""

SMALLEST_BUDGET = 1_024
"""The API takes no smaller one."""

ROOM_FOR_TEXT = 1_024
"""Tokens that a budget must leave: thinking counts towards `max_tokens`."""

NAME = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d+)(?:[-.](\d{1,2}))?(?!\d)")
OLD_NAME = re.compile(r"claude-(\d)[-.]?(\d)?-(opus|sonnet|haiku)")


@dataclass(frozen=True, slots=True)
class Traits:
    """How one model is asked to think.

    `off` is the least that the model can be asked for: to leave `thinking` out, to disable it, to think
    only between tool calls, or, where thinking is always on, the lowest effort. `binds` says that a
    thinking block is valid only after exactly the messages that it was written after.
    """

    thinking: Literal["adaptive", "budget", "none"]
    off: Literal["omit", "disabled", "between_tools", "low"] = "omit"
    efforts: tuple[str, ...] = ()
    shows_by_default: bool = True
    binds: bool = False
    claude: bool = True


# Opus 5 would take "disabled", but then now and then writes a tool call into its text instead of making it.
OFF = {
    ("sonnet", 5, 0): "disabled",
    ("haiku", 5, 5): "disabled",
    ("sonnet", 5, 5): "between_tools",
}


def traits_of(model: str) -> Traits:
    """The traits of a model by its name, also with a platform's prefix or a date.

    A Claude model that is newer than this table is taken for one that always thinks, which every current
    model accepts. Other names belong to servers that merely speak the protocol: they get the plain form.
    """
    if match := NAME.search(model):
        return _traits(match[1], int(match[2]), int(match[3] or 0))
    if match := OLD_NAME.search(model):
        return Traits("budget" if (match[1], match[2]) == ("3", "7") else "none")
    return Traits("none", claude=False)


def _traits(family: str, major: int, minor: int) -> Traits:
    version = (major, minor)
    if version < (4, 6):
        # Opus 4.5 was the first to know efforts, before `xhigh` and `max` existed.
        return Traits("budget", efforts=EFFORTS[:3] if (family, version) == ("opus", (4, 5)) else ())
    if version == (4, 6):
        return Traits("adaptive", efforts=("low", "medium", "high", "max"))
    if version < (5, 0):
        return Traits("adaptive", efforts=EFFORTS, shows_by_default=False)
    binds = version >= ((5, 1) if family in ("fable", "mythos") else (5, 5))
    off: Any = OFF.get((family, major, minor), "low")
    return Traits("adaptive", off, EFFORTS, shows_by_default=False, binds=binds)


def thinking_params(model: str, thinking: str, max_tokens: int) -> dict[str, Any]:
    """The request's `thinking` and `output_config` for a wish: `off` or an effort.

    An effort that the model does not have becomes the next lower one. Raises ModelRefused for a wish that
    is neither.
    """
    if thinking != "off" and thinking not in EFFORTS:
        raise ModelRefused(f"thinking={thinking!r} is unknown; use off, {', '.join(EFFORTS)}.")
    traits = traits_of(model)
    if thinking == "off":
        return _least(traits)
    params: dict[str, Any] = {}
    if traits.thinking == "adaptive":
        params["thinking"] = _adaptive(traits)
    elif traits.thinking == "budget":
        budget = min(BUDGETS[thinking], max_tokens - ROOM_FOR_TEXT)
        if budget >= SMALLEST_BUDGET:
            params["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if effort := _nearest(traits.efforts, thinking):
        params["output_config"] = {"effort": effort}
    return params


def _adaptive(traits: Traits) -> dict[str, Any]:
    """Newer models send empty thinking unless asked, and also what they say between tool calls."""
    return {"type": "adaptive"} | ({} if traits.shows_by_default else {"display": "summarized"})


def _least(traits: Traits) -> dict[str, Any]:
    if traits.off == "low":
        return {"thinking": _adaptive(traits), "output_config": {"effort": "low"}}
    return {} if traits.off == "omit" else {"thinking": {"type": traits.off}}


def _nearest(efforts: tuple[str, ...], wish: str) -> str:
    """The wish, or the next lower effort that the model has; empty if it knows none."""
    ranks = {effort: rank for rank, effort in enumerate(EFFORTS)}
    allowed = [effort for effort in efforts if ranks[effort] <= ranks[wish]]
    return allowed[-1] if allowed else ""
