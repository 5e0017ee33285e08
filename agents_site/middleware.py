"""Django's middlewares without their thread hops, static files, and the local sign-in; all native async.

Under ASGI each stock middleware moves its two hooks to a thread (0.2 to 0.45 ms per request and class),
because it cannot know whether they block. These do not: they read headers, set lazy attributes and write
headers. The two that may touch the database or read a body hop only in that case.
"""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.middleware import clickjacking, common, csrf, gzip, security
from django.utils.deprecation import MiddlewareMixin
from whitenoise.middleware import WhiteNoiseMiddleware

from agents_site import local, pages

type_get_response = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
# A packet holds this much anyway, in bytes; the work would save nothing.
MIN_BYTES = 860
# Below, in bytes, compression takes less than a millisecond, about as much as a hop to a thread may cost.
INLINE_BYTES = 32 * 1024
COMPRESSIBLE = ("text/", "application/json", "application/javascript", "image/svg+xml")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class InlineHooks(MiddlewareMixin):
    """Call `process_request` and `process_response` on the event loop: for hooks that never block."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """The asynchronous path of the base class, without its two hops."""
        before = getattr(self, "process_request", None)
        after = getattr(self, "process_response", None)
        response: HttpResponseBase | None = before(request) if before else None
        if response is None:
            response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        return after(request, response) if after else response


class SecurityMiddleware(InlineHooks, security.SecurityMiddleware):
    """Security headers, without the hop."""


class ContentSecurityPolicyMiddleware(InlineHooks, CSPMiddleware):
    """Content-Security-Policy with a nonce, without the hop."""


class CommonMiddleware(InlineHooks, common.CommonMiddleware):
    """Host check and appended slashes, without the hop."""


class AuthenticationMiddleware(InlineHooks, auth.AuthenticationMiddleware):
    """The lazy user, without the hop."""


class MessageMiddleware(InlineHooks, messages.MessageMiddleware):
    """Flash messages, without the hop: they are stored in a cookie (see MESSAGE_STORAGE)."""


class FrameOptionsMiddleware(InlineHooks, clickjacking.XFrameOptionsMiddleware):
    """X-Frame-Options, without the hop."""


class SessionMiddleware(InlineHooks, sessions.SessionMiddleware):
    """Sessions; only a response that has to store one hops to a thread."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Open lazily; save in a thread if something was written, else only set headers."""
        self.process_request(request)
        response = await cast("Awaitable[HttpResponse]", self.get_response(request))
        if request.session.modified or settings.SESSION_SAVE_EVERY_REQUEST:
            return await sync_to_async(self.process_response)(request, response)
        return self.process_response(request, response)


class CsrfViewMiddleware(InlineHooks, csrf.CsrfViewMiddleware):
    """CSRF protection; only a request that may carry a body hops to a thread: parsing it may block."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if self.async_mode:
            # Django looks the hook up on the instance and awaits it when it is a coroutine function.
            self.process_view = self._process_view_async  # type: ignore[method-assign, assignment]

    async def _process_view_async(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        check = super().process_view
        if request.method in SAFE_METHODS:
            return check(request, view, args, kwargs)
        return await sync_to_async(check)(request, view, args, kwargs)


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Static files from memory-mapped knowledge of what exists; a file is read in a thread.

    WhiteNoise itself is synchronous, which would put every request of an ASGI server into a thread.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.async_mode = iscoroutinefunction(get_response)
        if self.async_mode:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serve a known file, or hand on. A coroutine in async mode, as Django expects."""
        return self._serve_or_pass(request) if self.async_mode else super().__call__(request)

    async def _serve_or_pass(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(self.static_prefix):
            return await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        response = await sync_to_async(self._read, thread_sensitive=False)(request)
        if response is not None:
            return response
        return await cast("Awaitable[HttpResponseBase]", self.get_response(request))

    def _read(self, request: HttpRequest) -> HttpResponse | None:
        """The whole response in memory: an async server cannot stream a blocking file handle."""
        path = request.path_info
        found = self.find_file(path) if self.autorefresh else self.files.get(path)
        if found is None:
            return None
        streamed: FileResponse = self.serve(found, request)
        response = HttpResponse(b"".join(streamed), status=streamed.status_code)
        streamed.close()
        del response["content-type"]
        for name, value in streamed.items():
            response[name] = value
        return response


class CompressionMiddleware(InlineHooks, gzip.GZipMiddleware):
    """Django's gzip for texts; only what takes milliseconds is done in a thread.

    Django adds up to 100 random bytes to each answer, so that its length tells nobody how well a guess and a
    secret on one page compress together (BREACH); and the CSRF token is masked anew for every page.
    """

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, and compress what is worth it."""
        response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        if not isinstance(response, HttpResponse) or len(response.content) < INLINE_BYTES:
            return self.process_response(request, response)
        return await sync_to_async(self.process_response, thread_sensitive=False)(request, response)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Called for every answer. What is streamed is left alone: each piece would wait for the next."""
        if not isinstance(response, HttpResponse) or len(response.content) < MIN_BYTES:
            return response
        if not response.get("Content-Type", "").startswith(COMPRESSIBLE):
            return response
        return super().process_response(request, response)


class OutageMiddleware:
    """What is known to be in vain is answered here, before anything looks at the database (see pages.py)."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The page of the outage, or go on."""
        return pages.away_page() if pages.is_away(request) else await self.get_response(request)


class LocalLoginMiddleware:
    """Local mode: a request from this machine's browser that is nobody's becomes the first user's.

    There is no session behind it, so nothing is written and nothing outlives the process.
    `request.local_mode` tells pages to say so.
    """

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Sign in if the rule in local.py allows it, then go on."""
        scope = getattr(request, "scope", {})
        request.local_mode = local.connection_allowed(scope)  # type: ignore[attr-defined]
        if request.local_mode:  # type: ignore[attr-defined]
            await sync_to_async(self._sign_in)(request)
        return await self.get_response(request)

    @staticmethod
    def _sign_in(request: HttpRequest) -> None:
        if request.user.is_authenticated:
            return
        user = local.first_user()
        if user is None:
            return

        async def auser() -> Any:
            return user

        request.user = user
        request.auser = auser
