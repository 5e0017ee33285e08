"""Every address of the site. An agent's page is `/{type}/{id}`, so the agents' own patterns come last."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


@transaction.non_atomic_requests
async def no_icon(request: HttpRequest) -> HttpResponse:
    """Browsers ask every site for this file; pages of ours that have an icon name it themselves."""
    return HttpResponse(status=204, headers={"Cache-Control": "max-age=86400"})


urlpatterns = [
    path("favicon.ico", no_icon),
    path("admin/", admin.site.urls),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("", include("entities.urls")),
]
