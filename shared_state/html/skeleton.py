"""What apps add to the page that all share: entries of its navigation, styles, parts for its slots.

An app calls this in its `ready()`, so that the skeleton, `shared_state/base.html`, knows none of them:

    skeleton.navigate("Agents", "entities:agents", section="agents")
    skeleton.style("myapp/pages.css")
    skeleton.tell("statuses", "myapp:statuses")
    skeleton.fill("tools", "entities/offline_chip.html", when=offline)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString

from shared_state.conf import conf
from shared_state.html.partials import joined

Condition = Callable[[HttpRequest], bool]

SLOTS = frozenset({"tools", "account", "notices", "keys", "no-shared-state"})
"""`tools`: beside the name of the account. `account`: in its menu, in place of the button that signs out.
`notices`: above the content of every page. `keys`: lines of the list of keyboard shortcuts.
`no-shared-state`: what the list of shared states says while there is none."""


def signed_in(request: HttpRequest) -> bool:
    """Whether somebody is signed in: to whom the navigation is shown, unless an entry says otherwise."""
    return bool(getattr(request, "user", None) and request.user.is_authenticated)


@dataclass(frozen=True, slots=True)
class Entry:
    """A place that the navigation leads to. `more` ends its title, and is left out on narrow screens.

    `key` is the one that leads there after a `g`, if there is one.
    """

    title: str
    url_name: str
    section: str
    more: str
    order: int
    key: str
    when: Condition


@dataclass(frozen=True, slots=True)
class Part:
    """What an app puts into a slot."""

    template: str
    when: Condition


_entries: dict[str, Entry] = {}
_styles: dict[str, int] = {}
_scripts: dict[str, int] = {}
_parts: dict[str, dict[str, Part]] = {slot: {} for slot in sorted(SLOTS)}
_homes: dict[str, None] = {}
_told: dict[str, str] = {}


def navigate(
    title: str,
    url_name: str,
    *,
    section: str,
    more: str = "",
    order: int = 50,
    key: str = "",
    when: Condition = signed_in,
) -> None:
    """Add an entry. A page is in a section if its context says so; a lower `order` stands further left."""
    _entries[url_name] = Entry(title, url_name, section, more, order, key, when)


def home(url_name: str) -> None:
    """Say where the name of the site leads; without that, to the first entry of the navigation."""
    _homes[url_name] = None


def tell(name: str, url_name: str) -> None:
    """Tell the scripts of every page an address, as `data-<name>` of its body. They put none together."""
    _told[name] = url_name


def style(path: str, *, order: int = 50) -> None:
    """Add a static stylesheet to every page. A higher `order` comes later, and so has the last word."""
    _styles[path] = order


def script(path: str, *, order: int = 50) -> None:
    """Add a static script module to every page, as an element of its own: one that fails stops no other."""
    _scripts[path] = order


def fill(slot: str, template: str, *, when: Condition = lambda request: True) -> None:
    """Put a template into a slot, after what is there already. It is given `request` and `user`.

    Raises `ValueError` for a slot that there is not.
    """
    if slot not in SLOTS:
        raise ValueError(f"There is no slot {slot!r}, only {', '.join(sorted(SLOTS))}.")
    _parts[slot][template] = Part(template, when)


# -- what the skeleton shows


def entries(request: HttpRequest, section: str) -> list[dict[str, Any]]:
    """The navigation, without what this request may not see or this project has no address for."""
    ordered = sorted(_entries.values(), key=lambda entry: entry.order)
    found = [(entry, _address(entry.url_name)) for entry in ordered if entry.when(request)]
    return [
        {
            "title": entry.title,
            "more": entry.more,
            "url": url,
            "key": entry.key,
            "current": entry.section == section,
        }
        for entry, url in found
        if url
    ]


def home_address() -> str:
    """Where the name of the site leads."""
    names = [*_homes, *(entry.url_name for entry in sorted(_entries.values(), key=lambda each: each.order))]
    return next((url for name in names if (url := _address(name))), "/")


def socket_address() -> str:
    """Where the pages' websocket is: the setting, or `live/` below where the name of the site leads."""
    return conf.socket_url or f"{home_address()}live/"


def told() -> list[dict[str, str]]:
    """What scripts are told, of what this project has an address for."""
    found = [{"name": name, "url": _address(url_name)} for name, url_name in _told.items()]
    return [each for each in found if each["url"]]


def sign_in_address() -> str:
    """Where people sign in: what the project's `LOGIN_URL` says, a name or an address."""
    try:
        return resolve_url(settings.LOGIN_URL)
    except NoReverseMatch:
        return ""


def styles() -> list[str]:
    """The stylesheets in their order."""
    return sorted(_styles, key=lambda path: _styles[path])


def scripts() -> list[str]:
    """The script modules in their order."""
    return sorted(_scripts, key=lambda path: _scripts[path])


def filled(slot: str, request: HttpRequest | None) -> SafeString:
    """What apps have put into a slot, for this request; nothing for a page that is drawn for none."""
    if request is None:
        return SafeString("")
    shown = [part.template for part in _parts[slot].values() if part.when(request)]
    context = {"user": getattr(request, "user", None)}
    return joined(SafeString(render_to_string(template, context, request)) for template in shown)


def _address(url_name: str) -> str:
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return ""
