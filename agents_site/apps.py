"""The site as an app, so that its commands and checks are found."""

from django.apps import AppConfig
from django.conf import settings


class AgentsSiteConfig(AppConfig):
    """Commands, settings checks, the server."""

    name = "agents_site"
    verbose_name = "Agents site"

    def ready(self) -> None:
        """Make the folders that SQLite and WhiteNoise expect to be there."""
        if settings.ON_SQLITE:
            settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        if not settings.PRODUCTION:
            # In production a missing folder means that collectstatic was forgotten, and the warning is right.
            settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
