"""Filters for agents."""

from __future__ import annotations

from django import template

from entities.web import words

register = template.Library()


@register.filter
def status_word(status: str) -> str:
    """A status as a page says it."""
    return words.status_word(status)
