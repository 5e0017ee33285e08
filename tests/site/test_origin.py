"""Which pages may open a websocket."""

from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from pytest_django import Settings

from agents_site.origin import SameOriginValidator, same_origin


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8000", "localhost:8000"),
        ("http://localhost", "localhost:80"),
        ("https://agents.example", "agents.example"),
        ("https://AGENTS.example:443", "agents.example"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_it_knows_its_own_pages(origin: str, host: str) -> None:
    assert same_origin(origin, host) is True


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "localhost:8000"),
        ("http://localhost:3000", "localhost:8000"),  # another program on the same machine
        ("http://localhost", "localhost:8000"),
        ("http://127.0.0.1:8000", "localhost:8000"),
        ("http://localhost:8000.evil.example", "localhost:8000"),
        ("null", "localhost:8000"),
        ("", "localhost:8000"),
        ("file://", "localhost:8000"),
        ("http://localhost:x", "localhost:8000"),
        ("http://localhost:8000", ""),
    ],
)
def test_it_knows_a_foreign_page(origin: str, host: str) -> None:
    assert same_origin(origin, host) is False


async def connects(headers: list[tuple[bytes, bytes]]) -> bool:
    async def accept(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    communicator = WebsocketCommunicator(SameOriginValidator(accept), "/", headers=headers)
    connected, _ = await communicator.connect()
    return bool(connected)


async def test_it_refuses_the_handshake_of_a_foreign_page() -> None:
    host = (b"host", b"localhost:8000")

    assert await connects([host, (b"origin", b"http://localhost:8000")]) is True
    assert await connects([host, (b"origin", b"http://evil.example")]) is False
    assert await connects([host]) is False
    assert await connects([host, (b"origin", b"http://localhost:8000"), (b"origin", b"http://x")]) is False


async def test_it_accepts_an_origin_that_the_settings_trust(settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://front.example"]

    assert await connects([(b"host", b"back.example"), (b"origin", b"https://front.example")]) is True
