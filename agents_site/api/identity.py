"""Who calls: the person whose session it is; and for writes, the proof that a page of ours sent them."""

from __future__ import annotations

from typing import Any, Never

from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string

from agents_site import local
from agents_site.api.errors import ApiError
from agents_site.api.remembered import credential_of, sessions
from shared_state.api import AccessDenied, Principal, in_thread, principal_of


class _Csrf(CsrfViewMiddleware):
    """Django's check of origin, referer and token; it says no in JSON."""

    def _reject(self, request: Any, reason: str) -> Never:
        raise ApiError(403, "csrf_failed", f"{reason.rstrip('.')}. Send the X-CSRFToken of the cookie.")


def _no_view(request: Any) -> HttpResponse:
    return HttpResponse()


async def identify(request: ASGIRequest) -> Principal:
    """The principal of the session, or in local mode the first user. Raises `ApiError` 401.

    Two queries, unless the session was looked up a few seconds ago (see remembered.py).
    """
    store = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    request.session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    signed_in_here = local.connection_allowed(request.scope)
    proof = credential_of(request.session.session_key or "", signed_in_here)
    # Where the session holds the CSRF token, it has to be read anyway.
    if not settings.CSRF_USE_SESSIONS and (known := sessions.get(proof)) is not None:
        return known
    forgotten = sessions.forgotten
    found, user = await in_thread(_look_up, request, signed_in_here)
    sessions.put(proof, found, user, forgotten)
    return found


def _look_up(request: ASGIRequest, signed_in_here: bool) -> tuple[Principal, Any]:
    """The principal, and its user's primary key."""
    user: Any = get_user(request)
    if not user.is_authenticated and signed_in_here:
        user = local.first_user()
    try:
        return principal_of(user), user.pk
    except AccessDenied as error:
        raise ApiError(401, "sign_in", str(error)) from None


def require_transport(request: ASGIRequest) -> None:
    """Raise `ApiError` 403 for plain HTTP where the site insists on TLS."""
    if settings.SECURE_SSL_REDIRECT and not request.is_secure():
        raise ApiError(403, "https_required", "Use https.")


def require_own_page(request: ASGIRequest) -> None:
    """Raise `ApiError` 415 unless the body is JSON, and 403 unless a page of ours may have sent it.

    The first alone keeps out what a foreign page can send without asking; the second is Django's own rule.
    """
    if request.content_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "Send application/json.")
    csrf = _Csrf(_no_view)  # for each request: it remembers the settings that it met
    csrf.process_request(request)
    csrf.process_view(request, _no_view, (), {})
