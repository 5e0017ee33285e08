"""HEAD is answered wherever GET is: the same status, the same headers, no body."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse

from shared_state.api import in_thread
from tests.site.caller import Caller, Reply
from tests.site.walking import API, PAGES
from tests.site.world import World, build

# New for each answer: a nonce, a masked token, the random bytes of a compressed page.
CHANGING = frozenset({"content-security-policy", "content-length", "set-cookie", "expires", "date"})
OUTSIDE = ("/healthz", "/readyz", "/static/agents/js/main.js", "/nothing/is/here/")


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


def addresses() -> list[tuple[str, str]]:
    """Every address that answers GET, with a query."""
    pages = [
        (visit.path, "&".join(f"{name}={value}" for name, value in visit.query.items()))
        for visits in PAGES.values()
        for visit in visits
        if visit.form is None
    ]
    api = [(visit.path, "") for (method, _), visits in API.items() if method == "GET" for visit in visits]
    models = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]
    return [*pages, *api, *((path, "") for path in ("/admin/", *models, *OUTSIDE))]


def told(reply: Reply) -> dict[str, str]:
    return {name: "" if name in CHANGING else value for name, value in reply.headers.items()}


@pytest.mark.parametrize("known", [True, False], ids=["signed in", "nobody"])
async def test_head_is_get_without_its_body(known: bool, world: World, staff: User) -> None:
    caller = await in_thread(Caller.of, staff if known else None)
    answered = 0
    for path, query in addresses():
        got = await caller.get(path, query)
        head = await caller.send("HEAD", path, query=query)

        assert (path, head.status, told(head), head.body) == (path, got.status, told(got), b"")
        answered += got.status == 200

    assert answered >= (25 if known else 4)


async def test_an_address_that_only_takes_writes_says_so(world: World, staff: User) -> None:
    caller = await in_thread(Caller.of, staff)

    for path, allowed in (("/agents/chat/", "POST"), ("/api/agents/debate/host/messages", "POST")):
        reply = await caller.send("HEAD", path)
        assert (reply.status, reply.headers["allow"], reply.body) == (405, allowed, b"")
    refused = await caller.send("DELETE", "/api/streams/debate/host")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
