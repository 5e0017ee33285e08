"""Pages are compressed for those who take it; nothing else is touched."""

import gzip
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import RequestFactory

from agents_site.middleware import INLINE_BYTES, MIN_BYTES, CompressionMiddleware

TEXT = b"<li>an agent</li>" * 100
assert MIN_BYTES < len(TEXT) < INLINE_BYTES


async def answered(response: HttpResponseBase, accept: str = "gzip, deflate, br") -> Any:
    async def view(request: HttpRequest) -> HttpResponseBase:
        return response

    request = RequestFactory().get("/", headers={"accept-encoding": accept})
    return await CompressionMiddleware(view)(request)  # type: ignore[misc]


@pytest.mark.parametrize("body", [TEXT, TEXT * 30], ids=["small", "large"])
async def test_it_compresses_a_page(body: bytes) -> None:
    response = await answered(HttpResponse(body))

    assert response["Content-Encoding"] == "gzip"
    assert response["Vary"] == "Accept-Encoding"
    assert int(response["Content-Length"]) == len(response.content) < len(body) / 5
    assert gzip.decompress(response.content) == body


async def test_its_length_tells_nothing_exact() -> None:
    lengths = {len((await answered(HttpResponse(TEXT))).content) for _ in range(40)}

    assert len(lengths) > 5


async def test_it_sends_a_page_as_it_is_to_those_who_do_not_ask() -> None:
    response = await answered(HttpResponse(TEXT), accept="")

    assert response.content == TEXT
    assert "Content-Encoding" not in response
    assert response["Vary"] == "Accept-Encoding"  # a cache must not give it to those who do


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(b"x" * (MIN_BYTES - 1)),
        HttpResponse(TEXT, content_type="image/png"),
        StreamingHttpResponse([TEXT]),
    ],
    ids=["short", "not a text", "streamed"],
)
async def test_it_leaves_alone(response: HttpResponseBase) -> None:
    assert "Content-Encoding" not in await answered(response)
    assert "Vary" not in response


async def test_it_compresses_nothing_twice() -> None:
    packed = gzip.compress(TEXT * 100)
    response = await answered(HttpResponse(packed, headers={"Content-Encoding": "gzip"}))

    assert response.content == packed
