"""Filters for what streams hold: markdown, JSON, times and principals."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import template
from django.urls import reverse
from django.utils.http import urlencode

from shared_state.api import Provenance
from shared_state.html import inline, pages
from shared_state.html.dom import dom_id as make_dom_id
from shared_state.html.pretty import pretty

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def markdown(text: str | None) -> SafeString:
    """A text in markdown as safe HTML, with links to names leading to their pages."""
    return inline.prose(text or "")


@register.simple_tag
def dom_id(kind: str, *parts: object) -> str:
    """The id of an element; see `shared_state.html.dom`."""
    return make_dom_id(kind, *parts)


@register.filter
def pretty_json(value: Any) -> str:
    """JSON as people read it; a text that is JSON counts as what it says."""
    return pretty(value)


@register.simple_tag
def moment(value: str | datetime | None) -> SafeString:
    """A time; see `shared_state.html.inline`."""
    return inline.moment(value)


@register.filter
def principal_name(text: str | None) -> str:
    """What a page calls a principal: `user:ada` is ada, `agent:/worker/x` is worker/x."""
    kind, _, name = (text or "").partition(":")
    return name.removeprefix("/") if kind == "agent" else name or kind


@register.filter
def cause(provenance: Provenance) -> str:
    """Out of what something was written: `run 3.0, tool call 3.0-s1-c0`."""
    parts = [
        f"run {provenance.run}" if provenance.run else "",
        f"tool call {provenance.tool_call}" if provenance.tool_call else "",
    ]
    return ", ".join(part for part in parts if part)


@register.simple_tag
def tool_call_url(writer: str, tool_call: str) -> str:
    """Where to see the tool call that wrote something; the agent's page if it was no tool."""
    page = pages.of(writer)
    return f"{page}#{make_dom_id('tool', tool_call)}" if page and tool_call else page


@register.simple_tag
def with_query(name: str, *args: object, **query: object) -> str:
    """The address of a view with a query, without what is empty."""
    kept = {key: str(value) for key, value in query.items() if value not in (None, "")}
    return reverse(name, args=args) + (f"?{urlencode(kept)}" if kept else "")
