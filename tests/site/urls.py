"""The site's addresses, and a few more to look at the middlewares with."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from agents_site import urls as site


async def whoami(request: HttpRequest) -> JsonResponse:
    user = await request.auser()
    local = getattr(request, "local_mode", None)
    return JsonResponse({"user": user.get_username(), "local": local, "nonce": str(request.csp_nonce)})  # type: ignore[attr-defined]


def sync_whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": request.user.get_username(), "local": getattr(request, "local_mode", None)})


async def submit(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.POST["text"])


urlpatterns = [
    path("whoami/", whoami),
    path("sync-whoami/", sync_whoami),
    path("submit/", submit),
    *site.urlpatterns,
]
