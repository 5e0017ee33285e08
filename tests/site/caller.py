"""Somebody with a session who calls the whole ASGI application, without a server in between."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

ORIGIN = b"http://testserver"
TOKEN = "t" * 32


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json["error"]["code"])


@dataclass
class Caller:
    """One person, or nobody. `cookies` holds the session and the CSRF secret."""

    cookies: dict[str, str] = field(default_factory=dict)
    client: str = "203.0.113.9"

    @classmethod
    def of(cls, user: User | None) -> "Caller":
        """Sign somebody in. Call it from sync code."""
        cookies = {settings.CSRF_COOKIE_NAME: TOKEN}
        if user is not None:
            client = Client()
            client.force_login(user)
            name = settings.SESSION_COOKIE_NAME
            cookies[name] = client.cookies[name].value
        return cls(cookies)

    async def get(self, path: str, query: str = "") -> Reply:
        """Read."""
        return await self.send("GET", path, query=query)

    async def post(self, path: str, value: Any, **headers: str) -> Reply:
        """Write JSON, as a page of ours does."""
        return await self.send("POST", path, orjson.dumps(value), **headers)

    async def put(self, path: str, value: Any) -> Reply:
        """Make something."""
        return await self.send("PUT", path, orjson.dumps(value))

    async def send(self, method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> Reply:
        """Any request. A header of an empty text is left out."""
        return await exchange(self.scope(method, path, body, query, **headers), body)

    def scope(
        self, method: str, path: str, body: bytes = b"", query: str = "", **headers: str
    ) -> dict[str, Any]:
        """What a server tells the application of a request."""
        given = {
            "host": "testserver",
            "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        if method != "GET":
            given |= {"origin": ORIGIN.decode(), "x-csrftoken": TOKEN, "content-type": "application/json"}
            given["content-length"] = str(len(body))
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": quote(path).encode(), "query_string": query.encode(),
            "root_path": "", "client": (self.client, 5000), "server": ("testserver", 80),
            "headers": [(name.encode(), value.encode("latin1")) for name, value in given.items() if value],
        }  # fmt: skip


async def exchange(scope: dict[str, Any], body: bytes, application: Any = None) -> Reply:
    """One request through the application, the site's unless told; the body arrives in two pieces."""
    if application is None:
        from agents_site.asgi import application

    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.Event().wait()  # the client stays, and says nothing more
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], headers, b"".join(each.get("body", b"") for each in sent[1:]))
