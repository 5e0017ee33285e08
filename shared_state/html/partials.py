"""Parts of pages: one template each, rendered alike for a page and for what is pushed to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe


def partial(template: str, context: Mapping[str, Any]) -> SafeString:
    """A part of a page, without the blank lines that its template has around it.

    So an element that holds no parts is empty (`:empty`), and a part begins with its element, as a push
    needs it.
    """
    return mark_safe(render_to_string(template, dict(context)).strip())  # noqa: S308  rendered by a template


def joined(parts: Iterable[SafeString]) -> SafeString:
    """Parts one after the other, with nothing between them."""
    return mark_safe("".join(parts))  # noqa: S308  every part was rendered by a template
