"""Small tools that any agent may be given by name."""

from __future__ import annotations

from django.utils import timezone

from entities.types.tool import Tool, tool


@tool(retry_safe=True)
def now() -> str:
    """Tell the current date and time in UTC."""
    return f"{timezone.now():%A, %d %B %Y, %H:%M} UTC"


TOOLBOX: dict[str, Tool] = {"now": now}
"""Tools by the name that a spawner picks them with."""
