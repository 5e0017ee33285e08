"""A person without a browser: cookies, forms and websockets against a real server."""

import json
from collections.abc import Mapping
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from websockets.sync.client import ClientConnection, connect

CSRF_COOKIE = "agents_csrf"


class Client:
    """One person's session with one installation."""

    def __init__(self, url: str, csrf_cookie: str = CSRF_COOKIE) -> None:
        self.url = url
        self.csrf_cookie = csrf_cookie
        self.cookies = CookieJar()
        # No proxy: the environment's must not come between the test and its own server.
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(self.cookies))

    def request(
        self,
        path: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> tuple[int, str]:
        """Status and body, after redirects; an error status is an answer like any other."""
        request = Request(self.url + path, data=data, headers=dict(headers or {}), method=method)
        try:
            response: HTTPResponse = self._opener.open(request, timeout=30)
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
        with response:
            return response.status, response.read().decode()

    def get(self, path: str) -> tuple[int, str]:
        """Open a page."""
        return self.request(path)

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form, with the CSRF token that the last page set."""
        token = self.cookie(self.csrf_cookie)
        headers = {"X-CSRFToken": token, "Origin": self.url, "Referer": self.url + path}
        return self.request(path, urlencode(fields).encode(), headers)

    def json(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        """Call the API; for a write, open a page with a form first, which sets the CSRF cookie."""
        headers = {"X-CSRFToken": self.cookie(self.csrf_cookie), "Content-Type": "application/json"}
        data = None if method == "GET" else json.dumps(body).encode()
        status, answer = self.request(path, data, {**headers, "Origin": self.url}, method)
        return status, json.loads(answer)

    def cookie(self, name: str) -> str:
        """A cookie's value, or an empty string."""
        return next((cookie.value or "" for cookie in self.cookies if cookie.name == name), "")

    def sign_in(self, username: str, password: str) -> None:
        """Through the login form, as a person does."""
        self.get("/accounts/login/")
        status, body = self.post(
            "/accounts/login/", username=username, password=password, next="/admin/login/"
        )
        assert self.cookie("agents_session"), f"{username} could not sign in: {status}\n{body[:500]}"

    def socket(self, path: str, *, origin: str | None = None, compress: bool = False) -> ClientConnection:
        """Open a websocket with this person's cookies; the origin is the site's own unless given.

        `compress`: offer to take compressed frames, as browsers do.
        """
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)
        return connect(
            self.url.replace("http", "ws", 1) + path,
            additional_headers={
                "Origin": self.url if origin is None else origin,
                **({"Cookie": cookies} if cookies else {}),
            },
            compression="deflate" if compress else None,
            proxy=None,
            max_size=None,
        )


def receive_json(connection: ClientConnection, seconds: float = 10.0) -> Any:
    """The next frame, parsed. Raises TimeoutError when none comes."""
    return json.loads(connection.recv(timeout=seconds))
