"""The app."""

from django.apps import AppConfig


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

        for number, name in enumerate(("tokens", "base", "prose")):
            skeleton.style(f"css/{name}.css", order=number)
        for name in ("shared_state", "board"):
            skeleton.style(f"css/{name}.css", order=90)
        skeleton.navigate("Shared", "shared-list", section="shared", more=" state")
