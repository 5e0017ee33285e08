"""What every API route has in common: who may call, in which form, and how it says no."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from agents_site.api.routes import ROUTES, find
from shared_state.api import in_thread
from shared_state.conf import conf
from tests.site.caller import Caller, Reply
from tests.site.world import SECRET, World, build

READ = "/api/streams/debate/host"
MESSAGES = "/api/agents/debate/host/messages"
HELLO = {"payload": "hello"}


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def caller(world: World, ada: User) -> Caller:
    return Caller.of(ada)


def refused(reply: Reply, status: int, code: str) -> bool:
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json["error"]) >= {"code", "message"}
    return (reply.status, reply.code) == (status, code)


async def test_nobody_is_refused(world: World) -> None:
    nobody = Caller.of(None)

    assert refused(await nobody.get(READ), 401, "sign_in")
    assert refused(await nobody.post(MESSAGES, HELLO), 401, "sign_in")


async def test_a_made_up_session_is_nobody(world: World) -> None:
    assert refused(await Caller({"agents_session": "x" * 32}).get(READ), 401, "sign_in")


async def test_somebody_who_was_switched_off_is_nobody(caller: Caller, ada: User) -> None:
    ada.is_active = False
    await ada.asave()

    assert refused(await caller.get(READ), 401, "sign_in")


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/agents/debate", "/api/streams/"])
async def test_there_is_no_other_address(path: str, caller: Caller) -> None:
    assert refused(await caller.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "query"), [("/api/streams/shared:\x00", ""), (READ, "types=%00"), ("/\x00/", "")]
)
async def test_a_nul_in_an_address_is_refused(path: str, query: str, caller: Caller) -> None:
    assert (await caller.get(path, query)).status == 400


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", READ, "GET, HEAD"),
        ("DELETE", READ, "GET, HEAD"),
        ("GET", MESSAGES, "POST"),
        ("GET", "/api/agents/debate/host", "PUT"),
        ("GET", f"{READ}/rows/notes", "POST"),
        ("OPTIONS", READ, "GET, HEAD"),
    ],
)
async def test_it_names_the_method_that_is_allowed(
    method: str, path: str, allowed: str, caller: Caller
) -> None:
    reply = await caller.send(method, path, b"{}")

    assert refused(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == allowed


async def test_a_foreign_page_cannot_write(caller: Caller) -> None:
    assert refused(await caller.post(MESSAGES, HELLO, origin="http://evil.example"), 403, "csrf_failed")
    assert refused(await caller.post(MESSAGES, HELLO, origin="null"), 403, "csrf_failed")


async def test_a_write_needs_the_token(caller: Caller) -> None:
    assert refused(await caller.post(MESSAGES, HELLO, x_csrftoken=""), 403, "csrf_failed")
    assert refused(await caller.post(MESSAGES, HELLO, x_csrftoken="u" * 32), 403, "csrf_failed")
    # A program that is no browser sends no origin; the token says enough.
    assert (await caller.post(MESSAGES, HELLO, origin="")).status == 201


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_a_body_is_json(kind: str, caller: Caller) -> None:
    assert refused(await caller.post(MESSAGES, HELLO, content_type=kind), 415, "unsupported_media_type")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"payload": NaN}'])
async def test_malformed_json_is_refused(body: bytes, caller: Caller) -> None:
    assert refused(await caller.send("POST", MESSAGES, body), 400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "The body"),
        ({}, "payload"),
        ({"payload": 1, "key": 5}, "key"),
        ({"payload": 1, "key": "x" * 65}, "key"),
        ({"payload": 1, "key": "\x00"}, "key"),
        ({"payload": 1, "extra": 1}, "extra"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_by_name(body: Any, said: str, caller: Caller) -> None:
    reply = await caller.post(MESSAGES, body)

    assert refused(reply, 400, "invalid_body")
    assert reply.json["error"]["message"].startswith(said)


async def test_a_body_is_bounded(caller: Caller) -> None:
    large = b'{"payload": "' + b"x" * (conf.max_event_bytes + 5000) + b'"}'

    assert refused(await caller.send("POST", MESSAGES, large), 413, "too_large")
    # The length is only what the client says; what arrives is counted too.
    assert refused(await caller.send("POST", MESSAGES, large, content_length="5"), 413, "too_large")


async def test_a_foreign_host_is_refused(caller: Caller) -> None:
    assert refused(await caller.send("GET", READ, host="evil.example"), 400, "unknown_host")


async def test_plain_http_is_refused_where_tls_is_demanded(caller: Caller, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert refused(await caller.get(READ), 403, "https_required")


async def test_nothing_is_kept_by_caches_or_taken_for_a_page(caller: Caller) -> None:
    for reply in (await caller.get(READ), await caller.get("/api/streams/none")):
        assert reply.headers["cache-control"] == "private, no-store"
        assert reply.headers["vary"] == "Cookie"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-security-policy"].startswith("default-src 'none'")
        assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_local_mode_signs_in_on_loopback_only(world: World, ada: User, settings: Settings) -> None:
    settings.LOCAL_MODE = True
    nobody = Caller.of(None)

    assert refused(await nobody.get(READ), 401, "sign_in")
    nobody.client = "127.0.0.1"
    assert refused(await nobody.get(READ), 401, "sign_in")  # the host is not loopback's
    assert (await nobody.send("GET", READ, host="localhost:8000")).status == 200
    assert refused(
        await nobody.send("GET", READ, host="localhost", x_forwarded_for="1.2.3.4"), 401, "sign_in"
    )


async def test_what_may_not_be_read_answers_like_what_is_not_there(world: World, cleo: User) -> None:
    other = await in_thread(Caller.of, cleo)
    for hidden, missing in (
        ("/api/streams/debate/host", "/api/streams/debate/none"),
        (f"/api/streams/{world.shared.path}", "/api/streams/shared:none"),
        ("/api/streams/presence:user:ada", "/api/streams/presence:user:none"),
    ):
        found, absent = await other.get(hidden), await other.get(missing)
        assert (found.status, found.body) == (absent.status, absent.body) == (404, absent.body)
        assert SECRET.encode() not in found.body


def test_every_route_has_one_method_and_is_found_by_it() -> None:
    for route in ROUTES:
        address = "/api/" + route.pattern.replace("(?P<path>.+)", "a/b").replace("[^/]+", "c")
        address = (
            address.replace("(?P<collection>c)", "c").replace("(?P<type>c)", "a").replace("(?P<id>c)", "b")
        )
        assert find(route.method, address)[0] is route
