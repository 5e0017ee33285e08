"""Agents by address, for those who may reach them: what a message or a signal begins with.

What never changes of an agent (its log, owner, type) is remembered, so a message from its owner, or from
staff, asks the database nothing before its unit; who got their right from a grant is looked up each time.
Whatever may change is read by the unit, under the log's lock: `presence.current` refuses what is gone or
another's.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from entities import presence
from entities.exceptions import EntityNotFound
from entities.models import Entity
from shared_state.api import (
    AccessDenied,
    Coalesced,
    Principal,
    StreamNotFound,
    has_every_verb,
    verbs,
)

T = TypeVar("T")
Asked = tuple[Principal, str, str]
"""Who asks, for the entity at which address, to do what to it."""
REMEMBERED = 4096
"""How many agents a process remembers."""

_known: dict[str, Entity] = {}
_remembering = threading.Lock()
"""Held by whoever changes what is known: event loops forget, threads remember."""


def get_entity(principal: Principal, url: str, verb: str = "read") -> Entity:
    """The entity at an address, if the principal may do `verb` to it.

    Raises `EntityNotFound`, also when it may not even be read: strangers learn nothing. Raises
    `AccessDenied` when it may be read but not that.
    """
    asked = (principal, url, verb)
    found = _look([asked])[asked]
    if isinstance(found, Exception):
        raise found
    return found


async def reach(principal: Principal, url: str, verb: str, act: Callable[[Entity], Awaitable[T]]) -> T:
    """Do something to the entity at an address. `act` submits a unit that begins with `presence.current`.

    It is called again if the entity that was remembered is gone. Raises as `get_entity` and as `act`.
    """
    known = _known.get(url)
    if known is not None and has_every_verb(principal, known.stream):
        try:
            return await act(known)
        except StreamNotFound:
            with _remembering:
                _known.pop(url, None)
    return await act(await _find((principal, url, verb)))


def _look(asked: Sequence[Asked]) -> dict[Asked, Entity | Exception]:
    """`get_entity` for many, in two queries at the most: each one's entity, or what is to be raised."""
    urls = {url for _, url, _ in asked if "\x00" not in url}
    known = {
        each.url: each
        for each in (Entity.objects.filter(url__in=urls).select_related("stream", "parent") if urls else ())
    }
    there = [each for each in asked if each[1] in known]
    allowed = dict(zip(there, verbs([(who, known[url].stream) for who, url, _ in there]), strict=True))
    found: dict[Asked, Entity | Exception] = {}
    for each in asked:
        who, url, verb = each
        may_do = allowed.get(each, ())
        if verb in may_do and "read" in may_do:
            found[each] = known[url]
        elif "read" in may_do:
            found[each] = AccessDenied(f"{who} may not {verb} {known[url].stream.path}.")
        else:
            found[each] = EntityNotFound(f"There is no agent at {url}.")
    return found


def _look_and_remember(asked: Sequence[Asked]) -> dict[Asked, Entity | Exception]:
    found = _look(asked)
    for each in found.values():
        if isinstance(each, Entity) and not presence.is_over(each):
            with _remembering:
                while len(_known) >= REMEMBERED:
                    _known.pop(next(iter(_known)))
                _known[each.url] = each
    return found


_find: Coalesced[Asked, Entity] = Coalesced(_look_and_remember)
"""`get_entity` for async callers, many in one look-up."""
