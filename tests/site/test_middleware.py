"""The middlewares without thread hops do what Django's do."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory

from agents_site import middleware

pytestmark = pytest.mark.urls("tests.site.urls")


async def test_it_sends_the_security_headers(async_client: AsyncClient, transactional_db: None) -> None:
    response = await async_client.get("/whoami/")

    policy = response["Content-Security-Policy"]
    assert f"'nonce-{response.json()['nonce']}'" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"


async def test_it_makes_a_nonce_for_every_page(async_client: AsyncClient, transactional_db: None) -> None:
    nonces = {(await async_client.get("/whoami/")).json()["nonce"] for _ in range(5)}

    assert len(nonces) == 5


async def test_it_refuses_a_form_without_a_token(transactional_db: None) -> None:
    client = AsyncClient(enforce_csrf_checks=True)

    assert (await client.post("/submit/", {"text": "hello"})).status_code == 403


async def test_it_takes_a_form_with_its_token(transactional_db: None) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    await client.get("/accounts/login/")
    token = client.cookies["agents_csrf"].value

    response = await client.post("/submit/", {"text": "hello", "csrfmiddlewaretoken": token})

    assert (response.status_code, response.content) == (200, b"hello")


async def test_it_stores_the_session_of_a_sign_in(async_client: AsyncClient, ada: User) -> None:
    await async_client.post("/accounts/login/", {"username": "ada", "password": "ada"})

    cookie = async_client.cookies["agents_session"]
    assert (await async_client.get("/whoami/")).json()["user"] == "ada"
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_it_works_for_a_synchronous_server_too(client: Client, ada: User) -> None:
    client.force_login(ada)

    assert client.get("/whoami/").json()["user"] == "ada"
    assert Client(enforce_csrf_checks=True).post("/submit/", {"text": "x"}).status_code == 403


async def test_it_serves_static_files_as_they_lie(async_client: AsyncClient, transactional_db: None) -> None:
    response = await async_client.get("/static/admin/css/base.css")

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/css")
    assert b"DJANGO Admin styles" in response.content
    assert "Access-Control-Allow-Origin" not in response


@pytest.mark.parametrize("path", ["/static/none.css", "/static/../manage.py", "/static/%2e%2e/manage.py"])
async def test_it_serves_no_other_file(path: str, async_client: AsyncClient, transactional_db: None) -> None:
    assert (await async_client.get(path)).status_code == 404


async def test_it_runs_its_hooks_on_the_event_loop(rf: RequestFactory) -> None:
    seen: list[Any] = []

    class Probe(middleware.InlineHooks):
        def process_request(self, request: Any) -> None:
            seen.append(asyncio.get_running_loop())

        def process_response(self, request: Any, response: HttpResponse) -> HttpResponse:
            seen.append(asyncio.get_running_loop())
            return response

    async def view(request: Any) -> HttpResponse:
        return HttpResponse("hello")

    response = await Probe(view)(rf.get("/"))  # type: ignore[misc]

    assert response.content == b"hello"
    assert seen == [asyncio.get_running_loop()] * 2
