"""The thin way in says what Django says: the same requests, the same answers, whoever is remembered.

The API has no views behind Django's middlewares. So each request is made twice, with nothing remembered and
with the session remembered, and must get the same answer; and what Django alone decides (hosts, origins,
tokens, sessions) is asked of Django too, at views behind its middlewares.
"""

from collections.abc import Mapping

import pytest
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.handlers.asgi import ASGIHandler
from pytest_django import Settings

from agents_site.api import remembered
from agents_site.api.remembered import Remembered
from entities.models import Entity
from shared_state.api import in_thread
from shared_state.conf import conf
from tests.site.caller import TOKEN, Caller, Reply, exchange
from tests.site.world import World, build, grant

pytestmark = pytest.mark.urls("tests.site.urls")

READ = "/api/streams/debate/host"
MESSAGES = "/api/agents/debate/host/messages"
SIGNALS = "/api/agents/debate/host/signals"
HELLO = b'{"payload": "hello", "key": "the-same-key"}'
STOP = b'{"signal": "SIGINT"}'
ROW = b'{"row": {"key": "n1", "text": "x"}, "client_key": "once"}'
LARGE = b'{"payload": "' + b"x" * (conf.max_event_bytes + 5000) + b'"}'

PEOPLE = ("ada", "ben", "cleo", "staff", "nobody", "made up", "expired", "switched off")
REQUESTS: Mapping[str, tuple[str, str, bytes, dict[str, str]]] = {
    "message": ("POST", MESSAGES, HELLO, {}),
    "signal": ("POST", SIGNALS, STOP, {}),
    "row": ("POST", "/api/streams/shared:debate-/debate/host/rows/notes", ROW, {}),
    "read": ("GET", READ, b"", {}),
    "head": ("HEAD", READ, b"", {}),
    "none": ("GET", "/api/streams/debate/none", b"", {}),
    "no address": ("GET", "/api/none", b"", {}),
    "wrong method": ("DELETE", MESSAGES, b"", {}),
    "get where post": ("GET", MESSAGES, b"", {}),
    "taken": ("PUT", "/api/agents/debate/host", b"{}", {}),
    "bad json": ("POST", MESSAGES, b"{", {}),
    "no fit": ("POST", MESSAGES, b'{"payload": 1, "extra": 1}', {}),
    "too large": ("POST", MESSAGES, LARGE, {}),
    "too large, unsaid": ("POST", MESSAGES, LARGE, {"content_length": ""}),
    "a form": ("POST", MESSAGES, HELLO, {"content_type": "application/x-www-form-urlencoded"}),
    "no token": ("POST", MESSAGES, HELLO, {"x_csrftoken": ""}),
    "another token": ("POST", MESSAGES, HELLO, {"x_csrftoken": "u" * 32}),
    "foreign page": ("POST", MESSAGES, HELLO, {"origin": "http://evil.example"}),
    "foreign host": ("GET", READ, b"", {"host": "evil.example"}),
}
ORIGINS: tuple[dict[str, str], ...] = (
    {},
    {"x_csrftoken": ""},
    {"x_csrftoken": "u" * 32},
    {"x_csrftoken": "short"},
    {"x_csrftoken": "!" * 32},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "https://testserver"},
    {"origin": "http://testserver:8000"},
    {"origin": "http://trusted.example"},
    {"origin": "", "referer": "http://evil.example/"},
    {"host": "evil.example"},
    {"host": "localhost:8000", "origin": "http://localhost:8000"},
    {"host": "localhost:8000", "origin": "http://localhost:9000"},
    {"host": "a b"},
)


@pytest.fixture
def world(transactional_db: None) -> World:
    made = build()
    grant(made, "ben", "view")
    return made


@pytest.fixture
def people(world: World, ada: User, ben: User, cleo: User, staff: User) -> dict[str, Caller]:
    """Everybody, with a session or without."""
    made = {user.username: Caller.of(user) for user in (ada, ben, cleo, staff)}
    made["nobody"] = Caller.of(None)
    made["made up"] = Caller({"agents_csrf": TOKEN, "agents_session": "x" * 32})
    made["expired"] = Caller.of(ada)
    made["switched off"] = Caller.of(User.objects.create_user("dora", is_active=False))
    ended = made["expired"].cookies[site_settings.SESSION_COOKIE_NAME]
    Session.objects.filter(pk=ended).update(expire_date="2020-01-01T00:00:00Z")
    return made


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    from agents_site.api import identity

    fresh = Remembered()
    monkeypatch.setattr(remembered, "sessions", fresh)
    monkeypatch.setattr(identity, "sessions", fresh)


def said(reply: Reply) -> tuple[int, dict[str, str], bytes]:
    return reply.status, reply.headers, reply.body


@pytest.mark.parametrize("who", PEOPLE)
async def test_who_is_remembered_gets_the_same_answers(
    who: str, people: dict[str, Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = people[who]
    for method, path, body, headers in REQUESTS.values():  # what is done, is done; from here on it repeats
        await caller.send(method, path, body, **headers)

    for name, (method, path, body, headers) in REQUESTS.items():
        forget(monkeypatch)
        first = said(await caller.send(method, path, body, **headers))
        await caller.get(READ)
        again = said(await caller.send(method, path, body, **headers))
        if name in {"read", "head"}:  # a signal stands in the log each time
            first, again = (*first[:2], b""), (*again[:2], b"")
        assert (name, again) == (name, first)


@pytest.mark.parametrize("headers", ORIGINS, ids=str)
async def test_it_takes_a_write_from_where_django_takes_a_form(
    headers: dict[str, str], people: dict[str, Caller], settings: Settings
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["http://trusted.example"]
    django = ASGIHandler()  # Django's middlewares keep the settings that they were made with
    form = headers | {"content_type": "application/x-www-form-urlencoded"}
    for _ in range(2):
        ours = await people["ada"].send("POST", MESSAGES, HELLO, **headers)
        scope = people["ada"].scope("POST", "/submit/", b"text=hello", **form)
        theirs = await exchange(scope, b"text=hello", django)

        assert (ours.status in {200, 201}, ours.status) in ((True, ours.status), (False, theirs.status))
        assert (theirs.status == 200) == (ours.status in {200, 201})


@pytest.mark.parametrize("tls", [None, "http", "https"])
async def test_over_tls_it_asks_for_the_referer_as_django_does(
    tls: str | None, people: dict[str, Caller], settings: Settings
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for referer in ("", "https://testserver/", "https://evil.example/", "http://testserver/"):
        headers = {"origin": "", "referer": referer, "x_forwarded_proto": tls or ""}
        ours = await people["ada"].send("POST", MESSAGES, HELLO, **headers)
        form = headers | {"content_type": "application/x-www-form-urlencoded"}
        theirs = await people["ada"].send("POST", "/submit/", b"text=hello", **form)

        assert (theirs.status == 200) == (ours.status in {200, 201}), referer


@pytest.mark.parametrize("who", PEOPLE)
async def test_it_knows_whom_django_knows(who: str, people: dict[str, Caller]) -> None:
    for _ in range(2):
        ours = await people[who].get("/api/streams/none")
        theirs = await people[who].get("/whoami/")

        assert (ours.status == 401) == (theirs.json["user"] == "")


@pytest.mark.parametrize("passed_on", [True, False])
@pytest.mark.parametrize(("root_path", "forced"), [("/sub", None), ("", "/sub")])
async def test_below_a_prefix_it_is_where_the_pages_are(
    root_path: str, forced: str | None, passed_on: bool, people: dict[str, Caller], settings: Settings
) -> None:
    settings.FORCE_SCRIPT_NAME = forced

    async def ask(method: str, path: str, body: bytes = b"") -> Reply:
        whole = f"/sub{path}" if passed_on else path
        return await exchange(people["ada"].scope(method, whole, body) | {"root_path": root_path}, body)

    assert (await ask("GET", READ)).status == (await ask("GET", "/whoami/")).status == 200
    assert (await ask("POST", MESSAGES, HELLO)).status == 201
    made = await ask("PUT", "/api/agents/assistant/new", b"{}")
    assert (made.status, made.headers["location"]) == (201, "/sub/assistant/new/")
    assert await Entity.objects.filter(url="/assistant/new").aexists()


async def test_what_it_does_not_take_is_djangos(people: dict[str, Caller]) -> None:
    for path in ("/apis/", "/api", "/sub/api/streams/debate/host"):
        reply = await people["ada"].get(path)
        assert (reply.status, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_somebody_who_was_invited_may_at_once(world: World, people: dict[str, Caller]) -> None:
    """Only who somebody is, is remembered; what they may do never is."""
    cleo = people["cleo"]
    assert (await cleo.get(READ)).status == 404

    await in_thread(grant, world, "cleo", "chat")
    assert (await cleo.get(READ)).status == 200
    assert (await cleo.send("POST", MESSAGES, b'{"payload": "x"}')).status == 201

    await in_thread(world.host.stream.grants.all().delete)
    assert (await cleo.get(READ)).status == 404
    assert (await cleo.send("POST", MESSAGES, b'{"payload": "x"}')).status == 404
