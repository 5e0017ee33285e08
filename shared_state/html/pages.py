"""Where names lead. A log holds names (`agent:/debate/1`), since where pages are is each project's choice.

An app that has pages for a kind of principal says so in its `ready()`:

    pages.offer("agent", page_of_agent, link=link_in_text)
"""

from __future__ import annotations

import re
from collections.abc import Callable

Place = Callable[[str], str]
"""From a name to an address; empty if it leads nowhere."""

_pages: dict[str, Place] = {}
_links: dict[str, Place] = {}
_HREF = re.compile(r'(<a href=")(/(?!/)[^"]*)(?=")')


def offer(kind: str, page: Place, *, link: Place | None = None) -> None:
    """Say where the page of a principal of this kind is, given its name.

    `link` is asked about links in foreign text: whoever wrote `/debate/1/board/0/` knew the name alone.
    """
    _pages[kind] = page
    if link is not None:
        _links[kind] = link


def of(principal: str) -> str:
    """The address of a principal's page; empty if nobody offers one."""
    kind, _, name = principal.partition(":")
    return _pages[kind](name) if kind in _pages else ""


def resolved(html: str) -> str:
    """Sanitised HTML whose links to names lead to their pages; all other links stay as they are."""
    return _HREF.sub(lambda found: found[1] + _target(found[2]), html) if 'href="/' in html else html


def _target(path: str) -> str:
    """What a link's path leads to. It is escaped and stays so: only what stands before it changes."""
    return next((address for link in _links.values() if (address := link(path))), path)
