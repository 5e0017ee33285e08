"""Every address of the site. An agent's page is `/{type}/{id}`, so the agents' own patterns come last."""

from collections.abc import Callable
from functools import wraps

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import defaults

from shared_state.core.db_executor import with_connection


@transaction.non_atomic_requests
async def no_icon(request: HttpRequest) -> HttpResponse:
    """Browsers ask every site for this file; pages of ours that have an icon name it themselves."""
    return HttpResponse(status=204, headers={"Cache-Control": "max-age=86400"})


def _looked_after(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The page of an error, which asks who is signed in and gives its connection back.

    Django makes these pages in the event loop's own threads: each would keep its connection, of a pool that
    has ten, and one that broke for as long as the process lives.
    """

    @wraps(view)
    def page(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        return with_connection(view, request, *args, **kwargs)

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
