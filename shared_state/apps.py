"""The app: at start it registers checks and boards, and adds to the skeleton of all pages."""

from django.apps import AppConfig

SHEETS = (
    "agents/css/tokens.css",
    "agents/css/base.css",
    "agents/css/controls.css",
    "agents/css/site.css",
    "agents/css/shared_state/prose.css",
    "agents/css/shared_state/tables.css",
    "agents/css/shared_state/board.css",
)
"""In the order of the cascade; those of other apps come after them."""

SCRIPTS = (
    "agents/js/main.js",
    "agents/js/core/connection.js",
    "agents/js/core/keys.js",
    "agents/js/core/times.js",
    "agents/js/core/earlier.js",
    "agents/js/panes/widgets.js",
    "agents/js/panes/board.js",
    "agents/js/panes/tables.js",
)
"""The socket first. What each needs of the others, it imports."""


class SharedStateConfig(AppConfig):
    """Streams, rows, live pages."""

    name = "shared_state"
    verbose_name = "Shared state"
    default_auto_field = "django.db.models.BigAutoField"
    beside_streams = True
    """Its tables are in the streams' database: see `shared_state.routers`."""

    def ready(self) -> None:
        """Register checks and the codecs of boards and tables, and add to the skeleton of all pages."""
        from shared_state import checks  # noqa: F401  importing registers
        from shared_state.core import clock, reconnect
        from shared_state.html import (
            boards,  # noqa: F401  importing registers
            skeleton,
            tables,  # noqa: F401  importing registers
        )

        reconnect.listen()
        clock.connect()
        for number, sheet in enumerate(SHEETS):
            skeleton.style(sheet, order=number)
        for number, module in enumerate(SCRIPTS):
            skeleton.script(module, order=number)
        skeleton.navigate("Shared", "shared_state:shared-list", section="shared", more=" state", key="s")
