"""The app: at start it registers what is live, connects the one signal and discovers types."""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.db import router
from django.db.models.signals import post_migrate
from django.http import HttpRequest
from django.utils.module_loading import autodiscover_modules

SHEETS = (
    "agents/css/entities/agents.css",
    "agents/css/entities/agent.css",
    "agents/css/entities/timeline.css",
    "agents/css/entities/items.css",
    "agents/css/entities/board.css",
)
"""In the order of the cascade."""

SCRIPTS = (
    "agents/js/panes/agents.js",
    "agents/js/panes/tree.js",
    "agents/js/panes/timeline.js",
    "agents/js/panes/composer.js",
    "agents/js/panes/events.js",
)


class EntitiesConfig(AppConfig):
    """Brings agents into a project: their pages, their checks, and the types of every app's `agents.py`."""

    name = "entities"
    verbose_name = "Agents"
    default_auto_field = "django.db.models.BigAutoField"
    beside_streams = True
    """Its tables are in the streams' database: see `shared_state.routers`."""

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
        post_migrate.connect(_store_types, sender=self)


def _store_types(sender: AppConfig, using: str, apps: Apps = installed, **kwargs: Any) -> None:
    """After `migrate`: a web process that has no worker beside it offers the types, too.

    Only where their table is as the code knows it: a migration may have stopped short of it, or gone back.
    """
    from entities.models import EntityType
    from entities.types.registry import registry

    try:
        migrated = apps.get_model("entities", "EntityType")
    except LookupError:
        return
    columns = [{field.column for field in model._meta.concrete_fields} for model in (migrated, EntityType)]
    if columns[0] == columns[1] and router.allow_migrate_model(using, EntityType):
        registry.store(using)


def _add_to_skeleton() -> None:
    from entities.conf import DEFAULT, OFFLINE, conf
    from entities.web import addresses
    from shared_state.html import pages, skeleton

    def offline(request: HttpRequest) -> bool:
        return conf.providers[DEFAULT].backend == OFFLINE and skeleton.signed_in(request)

    for sheet in SHEETS:
        skeleton.style(sheet)
    for module in SCRIPTS:
        skeleton.script(module)
    pages.offer("agent", addresses.page, link=addresses.link)
    skeleton.home("entities:home")
    skeleton.navigate("Agents", "entities:agents", section="agents", order=10, key="a")
    skeleton.tell("statuses", "entities:agents-status")
    skeleton.fill("tools", "entities/skeleton/offline_chip.html", when=offline)
    skeleton.fill("keys", "entities/skeleton/keys.html")
    skeleton.fill("no-shared-state", "entities/skeleton/no_shared_state.html")
