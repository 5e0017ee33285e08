"""Tags of the skeleton that all pages extend; see `shared_state.html.skeleton`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.http import HttpRequest

from shared_state.conf import conf
from shared_state.html import skeleton

if TYPE_CHECKING:
    from django.template.context import Context
    from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag(takes_context=True)
def navigation(context: Context) -> list[dict[str, Any]]:
    """The entries of the navigation, with the one that the page belongs to marked."""
    request = _request(context)
    return skeleton.entries(request, str(context.get("section", ""))) if request is not None else []


@register.simple_tag
def home_address() -> str:
    """Where the name of the site leads."""
    return skeleton.home_address()


@register.simple_tag
def socket_address() -> str:
    """Where the page's websocket is."""
    return skeleton.socket_address()


@register.simple_tag
def sign_in_address() -> str:
    """Where people sign in."""
    return skeleton.sign_in_address()


@register.simple_tag
def told() -> list[dict[str, str]]:
    """The addresses that scripts are told."""
    return skeleton.told()


@register.simple_tag
def styles() -> list[str]:
    """The stylesheets of all apps."""
    return skeleton.styles()


@register.simple_tag
def scripts() -> list[str]:
    """The script modules of all apps."""
    return skeleton.scripts()


@register.simple_tag
def site_name() -> str:
    """What the site is called."""
    return conf.site_name


@register.simple_tag(takes_context=True)
def slot(context: Context, name: str) -> SafeString:
    """What apps have put into a slot."""
    return skeleton.filled(name, _request(context))


def _request(context: Context) -> HttpRequest | None:
    """The request that a page is rendered for, also in a project without the context processor for it."""
    return context.get("request") or getattr(context, "request", None)
