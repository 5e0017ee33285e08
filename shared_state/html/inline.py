"""What stands inside a line or a text: a time, and an agent's words as prose."""

from __future__ import annotations

from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from shared_state.html import foreign, pages


def prose(text: str) -> SafeString:
    """A text in markdown as safe HTML, with links to names leading to their pages."""
    html = pages.resolved(foreign.html(text))
    return mark_safe(html)  # noqa: S308  sanitised by an allow-list


def moment(value: str | datetime | None) -> SafeString:
    """A time; empty for what is none. The script says how long ago, the title by the reader's own clock."""
    when = as_datetime(value)
    if when is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}" data-ago>{}</time>',
        when.isoformat(timespec="milliseconds"),
        when.strftime("%-d %b %H:%M"),
    )


def as_datetime(value: str | datetime | None) -> datetime | None:
    """A time from either form; nothing from what is not one."""
    if isinstance(value, datetime) or not value:
        return value or None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
