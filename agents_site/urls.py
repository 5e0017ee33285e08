"""Every address of the site. An agent's page is `/{type}/{id}`, so the agents' own patterns come last."""

import sys
from collections.abc import Callable
from functools import wraps

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.core.handlers.asgi import ASGIRequest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import defaults

from agents_site import pages
from shared_state.core.db_executor import wait_in_thread, with_connection
from shared_state.core.outage import TIMEOUT
from shared_state.core.reconnect import AWAY


@transaction.non_atomic_requests
async def no_icon(request: HttpRequest) -> HttpResponse:
    """Browsers ask every site for this file; pages of ours that have an icon name it themselves."""
    return HttpResponse(status=204, headers={"Cache-Control": "max-age=86400"})


def _looked_after(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The page of an error, which asks who is signed in and gives its connection back.

    Django makes these pages in the event loop's own threads, which also serve files: each would keep its
    connection, of a pool that has ten, and hang while the database is away. So others make them. What failed
    because the database is away gets the page that says so, whatever page it was to be.
    """

    @wraps(view)
    def page(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if isinstance(sys.exception(), AWAY):
            return pages.away_page()
        try:
            if isinstance(request, ASGIRequest):
                return wait_in_thread(view, TIMEOUT, request, *args, **kwargs)
            return with_connection(view, request, *args, **kwargs)
        except (TimeoutError, *AWAY):
            return pages.away_page()

    return page


handler400 = _looked_after(defaults.bad_request)
handler403 = _looked_after(defaults.permission_denied)
handler404 = _looked_after(defaults.page_not_found)
handler500 = _looked_after(defaults.server_error)

urlpatterns = [
    path("favicon.ico", no_icon),
    path("admin/", admin.site.urls),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("", include("entities.urls")),
]
