"""The ASGI application: `daphne agents_site.asgi:application`, or uvicorn the same way."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agents_site.settings")

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

if settings.SECRET_KEY_MISSING:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set, so this production start is refused: sessions could be forged. "
        "Set SECRET_KEY (or SECRET_KEY_FILE) to a long random text, for example from "
        '`python3 -c "import secrets; print(secrets.token_urlsafe(50))"`. '
        "To try the site on this machine only, use `make run` instead."
    )

from django.core.asgi import get_asgi_application

# Sets Django up: the imports below need the app registry.
http_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

from agents_site import local
from agents_site.api.routes import with_api
from agents_site.bounds import with_bounds
from agents_site.head import with_head
from agents_site.health import with_health
from agents_site.lifespan import with_lifespan
from agents_site.origin import SameOriginValidator
from agents_site.pages import with_outage
from entities.routing import NO_OTHERS, websocket_urlpatterns
from shared_state.api import in_thread
from shared_state.live.sign_in import SignedIn


class LocalLogin:
    """ASGI wrapper for websockets: the same local sign-in as for pages (see local.py)."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Replace nobody by the first user where the rule allows it."""
        scope["local_mode"] = local.connection_allowed(scope)
        if scope["local_mode"] and not scope["user"].is_authenticated:
            scope["user"] = await in_thread(local.first_user) or scope["user"]
        await self.application(scope, receive, send)


websocket_application = AllowedHostsOriginValidator(
    SameOriginValidator(SignedIn(LocalLogin(URLRouter([*websocket_urlpatterns, *NO_OTHERS]))))
)

# Outermost first: a load balancer is answered before anything looks at hosts, sessions or bodies.
site = with_head(with_health(with_bounds(with_api(with_outage(http_application, settings.STATIC_URL)))))

application = with_lifespan(ProtocolTypeRouter({"http": site, "websocket": websocket_application}))
