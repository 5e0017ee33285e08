"""The site as an app, so that its commands and checks are found."""

from django.apps import AppConfig
from django.conf import settings
from django.http import HttpRequest


class AgentsSiteConfig(AppConfig):
    """Commands, settings checks, the server."""

    name = "agents_site"
    verbose_name = "Agents site"

    def ready(self) -> None:
        """Make the folders that SQLite and WhiteNoise expect to be there, and add to the skeleton."""
        if settings.ON_SQLITE:
            settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        if not settings.PRODUCTION:
            # In production a missing folder means that collectstatic was forgotten, and the warning is right.
            settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        _add_to_skeleton()
        # Needs the models of users and sessions.
        from agents_site.api import remembered

        remembered.listen()


def _add_to_skeleton() -> None:
    """Who was signed in without a password reads so on every page, and is offered no signing out."""
    from shared_state.html import skeleton

    skeleton.fill("notices", "agents_site/local_notice.html", when=_local)
    skeleton.fill("account", "agents_site/local_account.html", when=_local)


def _local(request: HttpRequest) -> bool:
    return bool(getattr(request, "local_mode", False))
