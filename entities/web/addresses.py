"""Where an agent's pages are: its name, `/{type}/{id}`, is in the log, its page below a project's prefix."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.urls import NoReverseMatch, get_script_prefix, reverse

from entities.types.registry import registry

ABOUT_ALL = frozenset({"agents", "shared"})
"""What the addresses of pages begin with that are not about one agent."""


def address(agent: str, view: str = "agent") -> str:
    """The address of a view of an agent by its name; empty for what is no agent's name.

    >>> address("/debate/1"), address("/debate/1", "agent-events"), address("service:ci")
    ('/debate/1/', '/debate/1/events/', '')
    """
    slash, _, name = agent.partition("/")
    type, _, slug = name.partition("/")
    if slash or not type or not slug:
        return ""
    # A list shows hundreds, and to work one out takes longer than to look one up.
    return _address(settings.ROOT_URLCONF, get_script_prefix(), view, type, slug)


@lru_cache(maxsize=4096)
def _address(urlconf: str, prefix: str, view: str, type: str, slug: str) -> str:
    try:
        return reverse(f"entities:{view}", args=[type, slug])
    except NoReverseMatch:  # a project may have no pages of agents
        return ""


def page(agent: str) -> str:
    """The address of an agent's page by its name; empty for what is no agent's name."""
    return address(agent)


def event_address(agent: str, offset: int) -> str:
    """The address of one event of an agent's log: below that of the log, see `entities.urls`."""
    return f"{address(agent, 'agent-events')}{offset}/"


def link(path: str) -> str:
    """What a link in an agent's text leads to; empty for what is not about agents.

    The text knows names alone: `/debate/1/board/0/` is the board of `/debate/1`, wherever that is shown.
    """
    first = path.lstrip("/").partition("/")[0]
    if first not in ABOUT_ALL and first not in registry:
        return ""
    try:
        return reverse("entities:home") + path.removeprefix("/")
    except NoReverseMatch:
        return ""
