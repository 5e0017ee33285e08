"""The app."""

from django.apps import AppConfig


class SharedStateConfig(AppConfig):
    """Streams, rows, live pages."""

    name = "shared_state"
    verbose_name = "Shared state"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks and the views of live pages."""
        from shared_state import boards, checks, tables  # noqa: F401  importing registers
