"""Who is signed in without a password: a browser on this machine, under quickstart, and nobody else."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from pytest_django import Settings

from agents_site import local


def scope(client: str = "127.0.0.1", host: str = "127.0.0.1:8000", **headers: str) -> dict[str, Any]:
    extra = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": [client, 50000], "headers": [(b"host", host.encode()), *extra]}


@pytest.mark.parametrize(
    "connection",
    [
        scope(),
        scope(client="::1", host="[::1]:8000"),
        scope(client="::ffff:127.0.0.1", host="localhost"),
        scope(client="127.8.8.8", host="LOCALHOST:1"),
    ],
)
def test_it_lets_this_machine_in(connection: dict[str, Any]) -> None:
    assert local.allowed(connection, local_mode=True) is True


@pytest.mark.parametrize(
    "connection",
    [
        scope(client="192.168.1.5"),
        scope(client="fe80::1"),
        scope(client="localhost"),
        scope(host="evil.example"),
        scope(host="evil.example:8000"),
        scope(host="127.0.0.1.evil.example"),
        scope(host="localhost.evil.example:8000"),
        scope(host=""),
        scope(x_forwarded_for="10.0.0.1"),
        scope(x_forwarded_host="evil.example"),
        scope(forwarded="for=10.0.0.1"),
        scope(via="1.1 proxy"),
        scope(x_real_ip="10.0.0.1"),
        {"client": None, "headers": [(b"host", b"localhost")]},
        {"client": ["127.0.0.1", 1], "headers": []},
        {"client": ["127.0.0.1", 1], "headers": [(b"host", b"localhost"), (b"host", b"evil.example")]},
        {},
    ],
)
def test_it_lets_nobody_else_in(connection: dict[str, Any]) -> None:
    assert local.allowed(connection, local_mode=True) is False


def test_it_lets_nobody_in_outside_local_mode() -> None:
    assert local.allowed(scope(), local_mode=False) is False


def test_it_keeps_its_secret_to_its_owner_and_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret_key"

    first = local.secret_key(path)

    assert len(first) >= 50
    assert path.stat().st_mode & 0o777 == 0o600
    assert local.secret_key(path) == first


def test_it_replaces_an_empty_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.touch(mode=0o644)

    assert len(local.secret_key(path)) >= 50
    assert path.stat().st_mode & 0o777 == 0o600


class Caller(AsyncClient):
    """A client that sends the Host header of our choice, and no second one."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host.encode()

    def _base_scope(self, **request: Any) -> Any:
        base = super()._base_scope(**request)  # type: ignore[misc]
        others = [(name, value) for name, value in base["headers"] if name != b"host"]
        return {**base, "headers": [*others, (b"host", self.host)]}

    async def whoami(self, path: str = "/whoami/") -> tuple[str, bool]:
        answer = (await self.get(path)).json()
        return answer["user"], answer["local"]


@pytest.mark.urls("tests.site.urls")
@pytest.mark.parametrize("path", ["/whoami/", "/sync-whoami/"])
async def test_it_signs_a_request_in_as_the_first_user(
    path: str, ada: User, ben: User, settings: Settings
) -> None:
    settings.LOCAL_MODE = True

    assert await Caller("localhost").whoami(path) == ("ada", True)
    assert await Caller("testserver").whoami(path) == ("", False)


@pytest.mark.urls("tests.site.urls")
async def test_it_leaves_somebody_who_signed_in_alone(ada: User, ben: User, settings: Settings) -> None:
    settings.LOCAL_MODE = True
    caller = Caller("localhost")
    await caller.aforce_login(ben)

    assert await caller.whoami() == ("ben", True)


@pytest.mark.urls("tests.site.urls")
async def test_it_signs_nobody_in_without_a_user(transactional_db: None, settings: Settings) -> None:
    settings.LOCAL_MODE = True

    assert await Caller("localhost").whoami() == ("", True)


@pytest.mark.urls("tests.site.urls")
async def test_it_signs_nobody_in_outside_local_mode(ada: User) -> None:
    assert await Caller("localhost").whoami() == ("", False)
