"""Pages under a prefix: whatever a page or a push links to lies below it, whoever wrote the link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.test import Client
from django.test import override_settings as overridden
from django.urls import include, path, set_script_prefix

from entities import routing
from entities.catalog import log
from entities.models import Entity
from entities.types.registry import registry
from entities.web import addresses
from shared_state import api
from shared_state.html import skeleton
from shared_state.live import codecs, session
from shared_state.live.send_queue import SendQueue
from shared_state.templatetags.state import markdown
from tests.entities import making
from tests.entities.web.browsing import Element, parse
from tests.entities.web.test_two_panes import debate

PREFIX = "/team/agents/"
ATTRIBUTES = (
    "href", "action", "hx-get", "data-earlier", "data-earlier-url", "data-agent-page", "data-socket",
    "data-statuses",
)  # fmt: skip
ELSEWHERE = ("/admin/", "/accounts/", "/static/", "/invoices/", "#")
FINISHED = {
    "source": "/worker/d-pro", "reason": "child",
    "finished_child": {"url": "/worker/d-pro", "type": "worker", "run_id": "1.0", "run_status": "completed"},
    "other_children": [{"url": "/worker/d-con", "status": "idle"}],
}  # fmt: skip

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/login/", LoginView.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path(PREFIX[1:], include("entities.urls")),
]
moved = pytest.mark.urls("tests.entities.web.test_addresses")


@pytest.fixture
def host(ada: User) -> Entity:
    """A debate in whose log is everything that a page makes a link of."""
    registry.store()
    made = debate(ada, "d")
    making.write(
        made,
        [
            log.new("wake", "2", {"key": "2", **FINISHED}),
            log.new("manifest", "source:/worker/d-pro", {"kind": "source", "url": "/worker/d-pro"}),
            log.new("manifest", "shared-state:x", {"kind": "shared-state", "id": "debate-/debate/d"}),
            *making.run("2.0", "[Board](/debate/d/board/0/), [theirs](/invoices/4/), [state](/shared/x/)."),
            making.call("2.0-s1-c0", "2.0", result="y" * 5000),
        ],
    )
    return made


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    """A browser of Ada's."""
    client.force_login(ada)
    return client


@pytest.fixture
def mounted() -> Iterator[None]:
    """What a process has learnt about where it is mounted is forgotten."""
    yield
    codecs._prefix = "/"
    set_script_prefix("/")


def links(page: Element) -> set[str]:
    """What a page links to, but for the parts of the project that are not ours."""
    found = {each.attributes[name] for each in page.walk() for name in ATTRIBUTES if name in each.attributes}
    return {link for link in found if link and not link.startswith(ELSEWHERE)}


def opened(client: Client, address: str) -> Element:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return parse(answer.content.decode().replace("<!doctype html>", ""))


@moved
def test_every_link_of_every_page_is_below_the_prefix(page: Client, host: Entity) -> None:
    tabs = ("", "state/", "events/", "board/0/")
    shared = [f"shared/debate-/debate/d/{part}" for part in ("", "?view=board")]
    seen: set[str] = set()
    for address in [
        "",
        "agents/new/",
        "agents/new/assistant/",
        "shared/",
        *shared,
        *(f"debate/d/{tab}" for tab in tabs),
    ]:
        seen |= links(opened(page, PREFIX + address))

    assert {link for link in seen if not link.startswith(("?", PREFIX))} == set()
    expected = (
        "live/",
        "agents/status/",
        "worker/d-pro/",
        "debate/d/tool/?key=2.0-s1-c0",
        "debate/d/board/0/",
    )
    assert {PREFIX + address for address in expected} <= seen
    assert any(re.fullmatch(rf"{PREFIX}debate/d/events/\d+/", link) for link in seen)
    assert any(link.startswith(f"{PREFIX}worker/d-pro/#tool-") for link in seen)


@moved
@pytest.mark.parametrize("codec", ["timeline", "panel", "events", "state"])
def test_every_link_of_a_push_is_below_the_prefix(host: Entity, codec: str) -> None:
    stream = api.get_stream(host.url)

    frames = codecs.encode_events(codec, stream, 0, api.read(stream.id, 0, 1000))

    assert frames
    pushed = [change for frame in frames for change in orjson.loads(frame)["changes"] if change[0] == "put"]
    found = set[str]().union(*(links(parse(change[4])) for change in pushed))
    assert {link for link in found if not link.startswith(PREFIX)} == set()
    assert found or codec == "state"


async def opens(scope: dict[str, Any]) -> None:
    """A socket is opened; that nobody is signed in does not matter here."""
    with pytest.raises(api.AccessDenied):
        await session.identify(scope, SendQueue())
    await session.stop()


@pytest.mark.parametrize(("root_path", "forced"), [("/sub", None), ("", "/sub")])
async def test_pushes_begin_with_where_the_server_is_mounted(
    host: Entity, mounted: None, root_path: str, forced: str | None
) -> None:
    with overridden(FORCE_SCRIPT_NAME=forced):
        await opens({"root_path": root_path})
        frames = await session.hub().run(_rendered, host.url)
        await session.stop()

    assert 'href=\\"/sub/worker/d-pro/\\"' in "".join(frames)


def _rendered(url: str) -> list[str]:
    stream = api.get_stream(url)
    return codecs.encode_events("timeline", stream, 0, api.read(stream.id, 0, 1000)) or []


@moved
def test_a_name_in_a_text_leads_to_its_page_and_other_links_stay() -> None:
    text = "[a](/debate/d/board/0/#card-1) [b](/invoices/4/) [c](//debate/x) [d](/agents/) [e](https://a.example/debate/d)"

    found = [link.attributes["href"] for link in parse(markdown(text)).walk() if link.tag == "a"]

    assert found == [
        f"{PREFIX}debate/d/board/0/#card-1",
        "/invoices/4/",
        "//debate/x",
        f"{PREFIX}agents/",
        "https://a.example/debate/d",
    ]


def test_without_a_prefix_a_text_is_as_it_was_written() -> None:
    assert 'href="/debate/d"' in markdown("[a](/debate/d)")
    assert 'href="/debate/d/?x=1&amp;y=2#z"' in markdown("[a](/debate/d/?x=1&y=2#z)")


@pytest.mark.urls("tests.shared_state.html.test_skeleton")
def test_a_project_without_pages_of_agents_has_no_links_to_them() -> None:
    assert addresses.page("/debate/d") == ""
    assert 'href="/debate/d"' in markdown("[a](/debate/d)")


@pytest.mark.parametrize("name", ["service:ci", "/debate", "debate/d", "", "/Bad Type/d"])
def test_what_is_no_agents_name_has_no_page(name: str) -> None:
    assert addresses.page(name) == ""


@moved
def test_the_socket_is_below_the_pages_or_where_the_setting_says(mounted: None) -> None:
    assert skeleton.socket_address() == f"{PREFIX}live/"
    assert routing.socket_pattern() == r"^team/agents/live/$"
    with overridden(SHARED_STATE={"SOCKET_URL": "/ws/a.b/"}):
        assert skeleton.socket_address() == "/ws/a.b/"
        assert routing.socket_pattern() == r"^ws/a\.b/$"

    set_script_prefix("/sub/")
    assert skeleton.socket_address() == f"/sub{PREFIX}live/"
    for passed_on in ("sub/team/agents/live/", "team/agents/live/"):
        assert re.match(routing.socket_pattern(), passed_on)
    assert not re.match(routing.socket_pattern(), "other/team/agents/live/")
