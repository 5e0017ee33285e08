"""What every page has in common: its policy, and that it takes nothing from foreign pages."""

import pytest
from django.contrib.auth.models import User

from shared_state.api import in_thread
from tests.site.caller import Caller
from tests.site.test_access_walk import FORM, admin_paths
from tests.site.walking import PAGES, Visit
from tests.site.world import World, build

VISITS = [visit for visits in PAGES.values() for visit in visits]


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def boss(world: World, staff: User) -> Caller:
    return Caller.of(staff)


async def test_every_page_has_a_policy_without_inline_scripts(boss: Caller) -> None:
    for path in {visit.path for visit in VISITS} | set(admin_paths()) | {"/none/", "/assistant/none/"}:
        reply = await boss.get(path)
        policy = reply.headers["content-security-policy"]
        assert "unsafe" not in policy, path
        for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy, path
        assert reply.headers["x-content-type-options"] == "nosniff", path
        assert reply.headers["x-frame-options"] == "DENY", path


async def test_the_policy_names_no_other_site(boss: Caller) -> None:
    policy = (await boss.get("/")).headers["content-security-policy"]

    assert "http" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(
    "headers",
    [{"x_csrftoken": ""}, {"x_csrftoken": "u" * 32}, {"origin": "http://evil.example"}, {"origin": "null"}],
    ids=["no token", "wrong token", "foreign origin", "no origin of its own"],
)
async def test_every_address_refuses_a_foreign_form(headers: dict[str, str], boss: Caller) -> None:
    paths = {visit.path for visit in VISITS} | {path for path in admin_paths() if "(" not in path}
    wrong = []
    for path in sorted(paths):
        reply = await boss.send("POST", path, b"message=hello", **FORM, **headers)
        # The admin's views for people who are not signed in are looked up first; nothing is done there.
        if reply.status not in (403, 404):
            wrong.append(f"{path} answered {reply.status}")

    assert wrong == []


async def test_a_foreign_form_has_no_effect(boss: Caller, world: World) -> None:
    head = (await boss.get("/api/streams/debate/host", "limit=1000")).json["next"]
    visit = Visit("/debate/host/", {}, form={"message": "evil", "key": "evil-key-1"})

    reply = await boss.send("POST", visit.path, visit.body, **FORM, origin="http://evil.example")

    assert reply.status == 403
    assert (await boss.get("/api/streams/debate/host", "limit=1000")).json["next"] == head


async def test_pages_are_not_kept_by_shared_caches(boss: Caller) -> None:
    for visit in VISITS:
        if visit.form is None and visit.expected["staff"] == 200:
            assert "Cookie" in (await boss.get(visit.path)).headers.get("vary", ""), visit.path


@pytest.mark.parametrize("target", ["http://evil.example/", "//evil.example/", "javascript:alert(1)"])
async def test_signing_in_leads_to_no_other_site(target: str, world: World, ada: User) -> None:
    body = f"username=ada&password=ada&next={target}".encode()

    reply = await Caller.of(None).send("POST", "/accounts/login/", body, **FORM)

    assert (reply.status, reply.headers["location"]) == (302, "/")


async def test_a_session_that_has_ended_is_nobodys(world: World, ada: User) -> None:
    caller = await in_thread(Caller.of, ada)
    assert (await caller.get("/debate/host/")).status == 200

    assert (await caller.send("POST", "/accounts/logout/", b"", **FORM)).status == 302

    assert (await caller.get("/debate/host/")).status == 302
    assert (await caller.get("/api/streams/debate/host")).status == 401


@pytest.mark.parametrize(
    "path", ["/", "/agents/", "/shared/", "/debate/host/events/", "/debate/host/earlier/"]
)
@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "before=99999999999999999999", "q=%00", "type=%00", "from=1e9"]
)
async def test_odd_parameters_are_no_fault(path: str, query: str, boss: Caller) -> None:
    assert (await boss.get(path, query)).status < 500


async def test_a_nul_is_no_fault_in_any_field(boss: Caller) -> None:
    visits = [
        Visit("/debate/host/", {}, form={"message": "hello", "key": "k\x00"}),
        Visit("/debate/host/", {}, form={"message": "hello\x00", "key": "key-12345"}),
        Visit("/agents/chat/", {}, form={"message": "hello", "key": "k\x00"}),
        Visit("/agents/new/debate/", {}, form={"id": "a\x00", "message": "x"}),
        Visit("/accounts/login/", {}, form={"username": "ada\x00", "password": "x"}),
    ]
    for visit in visits:
        reply = await boss.send("POST", visit.path, visit.body, **FORM)
        assert reply.status < 500, visit

    rows = "/api/streams/shared:debate-/debate/host/rows/notes"
    for value in ({"row": {"key": "\x00", "text": "x"}}, {"operation": "update", "key": "\x00", "row": {}}):
        assert (await boss.post(rows, value)).status == 400
    assert (await boss.get("/shared/a%00b/")).status == 404
    assert (await boss.get("/shared/a\x00b/")).status == 400
