"""The app."""

from django.apps import AppConfig

SHEETS = (
    "css/tokens.css",
    "css/base.css",
    "css/controls.css",
    "css/site.css",
    "css/shared_state/prose.css",
    "css/shared_state/tables.css",
    "css/shared_state/board.css",
)
"""In the order of the cascade; those of other apps come after them."""


class SharedStateConfig(AppConfig):
    """Streams, rows, live pages."""

    name = "shared_state"
    verbose_name = "Shared state"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks and the views of live pages, and add to the skeleton of all pages."""
        from shared_state import checks  # noqa: F401  importing registers
        from shared_state.html import (
            boards,  # noqa: F401  importing registers
            skeleton,
            tables,  # noqa: F401  importing registers
        )

        for number, sheet in enumerate(SHEETS):
            skeleton.style(sheet, order=number)
        skeleton.navigate("Shared", "shared-list", section="shared", more=" state")
