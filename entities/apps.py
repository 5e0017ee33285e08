"""The app: at start it registers what is live, connects the one signal and discovers types."""

from django.apps import AppConfig
from django.http import HttpRequest
from django.utils.module_loading import autodiscover_modules

SHEETS = (
    "css/entities/agents.css",
    "css/entities/agent.css",
    "css/entities/timeline.css",
    "css/entities/items.css",
    "css/entities/board.css",
)
"""In the order of the cascade."""


class EntitiesConfig(AppConfig):
    """Agents."""

    name = "entities"
    verbose_name = "Agents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register checks and views, add to all pages, listen to events, find every app's `agents.py`."""
        from entities import checks  # noqa: F401  importing registers
        from entities.wakes import receivers
        from entities.web import (
            live,  # noqa: F401  importing registers
            panel,  # noqa: F401  importing registers
        )

        _add_to_skeleton()
        receivers.connect()
        autodiscover_modules("agents")


def _add_to_skeleton() -> None:
    from entities.conf import DEFAULT, OFFLINE, conf
    from shared_state.html import skeleton

    def offline(request: HttpRequest) -> bool:
        return conf.providers[DEFAULT].backend == OFFLINE and skeleton.signed_in(request)

    for sheet in SHEETS:
        skeleton.style(sheet)
    skeleton.home("home")
    skeleton.navigate("Agents", "agents", section="agents", order=10)
    skeleton.fill("tools", "entities/skeleton/offline_chip.html", when=offline)
    skeleton.fill("keys", "entities/skeleton/keys.html")
    skeleton.fill("no-shared-state", "entities/skeleton/no_shared_state.html")
