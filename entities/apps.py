"""The app: at start it registers what is live, connects the one signal and discovers types."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class EntitiesConfig(AppConfig):
    """Agents."""

    name = "entities"
    verbose_name = "Agents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register checks and live views, listen to appended events, find every app's `agents.py`."""
        from entities import checks  # noqa: F401  importing registers
        from entities.wakes import receivers
        from entities.web import (
            live,  # noqa: F401  importing registers
            panel,  # noqa: F401  importing registers
        )

        receivers.connect()
        autodiscover_modules("agents")
