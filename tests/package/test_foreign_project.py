"""The wheel in a project that is not ours: its pages, its sockets, and a debate to its ruling."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect
from websockets.sync.client import ClientConnection

from tests.package.foreign import EMAIL, PASSWORD, PREFIX, Foreign
from tests.support.browser import Console
from tests.support.client import receive_json
from tests.support.processes import ROOT

pytestmark = pytest.mark.browser
TOPIC = "Should cities ban private cars?"
RULING_SECONDS = 90.0
BEGINNING = "0000000000000000_0000000000000000"


def test_the_apps_come_out_of_the_wheel(foreign: Foreign, python: Path) -> None:
    """Otherwise everything below would show that our checkout works."""
    code = "import entities, shared_state; print(entities.__file__, shared_state.__file__)"
    found = foreign.manage("shell", "--no-imports", "-c", code)

    assert found.count(str(python.parent.parent)) == 2
    assert str(ROOT) not in found


def test_the_project_passes_its_checks(foreign: Foreign) -> None:
    assert "no issues" in foreign.manage("check")
    assert "No changes detected" in foreign.manage("makemigrations", "--check", "--dry-run")


def test_a_grant_names_a_person_by_their_name_field(foreign: Foreign) -> None:
    code = (
        "from shared_state.admin import GrantForm; form = GrantForm.__new__(GrantForm); "
        f"form.cleaned_data = {{'principal': 'user:{EMAIL}'}}; print(form.clean_principal()); "
        "form.cleaned_data = {'principal': 'user:nobody@example.org'}\n"
        "try: form.clean_principal()\n"
        "except Exception as error: print(error)"
    )

    said = foreign.manage("shell", "--no-imports", "-c", code)

    assert f"user:{EMAIL}" in said
    assert "There is no user 'nobody@example.org'" in said


def test_streams_are_in_the_second_database_alone(foreign: Foreign) -> None:
    def tables(database: str) -> set[str]:
        code = (
            "from django.db import connections; "
            f"print(*connections[{database!r}].introspection.table_names())"
        )
        return set(foreign.manage("shell", "--no-imports", "-c", code).split())

    assert {"shared_state_stream", "entities_entity"} <= tables("streams")
    assert not {"shared_state_stream", "entities_entity"} & tables("default")
    assert "people_person" in tables("default")


def follow(socket: ClientConnection, stream: str, codec: str) -> None:
    """Follow a stream from its beginning."""
    socket.send(json.dumps({"op": "follow", "id": 1, "stream": stream, "codec": codec, "after": BEGINNING}))
    assert receive_json(socket)["op"] == "following"


def test_a_debate_runs_to_its_ruling_and_is_followed_by_socket(foreign: Foreign) -> None:
    ada = foreign.ada()
    status, page = ada.get(PREFIX)
    assert status == 200
    assert f'data-me="user:{EMAIL}"' in page
    socket_path = re.search(r'data-socket="([^"]+)"', page)
    assert socket_path is not None
    assert socket_path[1] == f"{PREFIX}live/"

    status, page = ada.post(f"{PREFIX}agents/new/debate/", id="cars", message=f"Debate in 1 rounds: {TOPIC}")
    assert status == 200, page
    with ada.socket(socket_path[1]) as socket:
        follow(socket, "/debate/cars", "panel")
        said = ""
        while "rests on" not in said:  # the ruling, with the arguments that it rests on
            said += socket.recv(timeout=RULING_SECONDS)  # type: ignore[operator]

    assert f'href=\\"{PREFIX}worker/cars-pro/\\"' in said
    assert not re.search(r'href=\\"/(?!team/agents/)', said)
    assert 'data-phase="done"' in ada.get(f"{PREFIX}debate/cars/board/0/")[1]


def sign_in(page: Page, foreign: Foreign) -> None:
    page.goto(f"{foreign.url}{PREFIX}")
    page.fill("[name=username]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_url(f"{foreign.url}{PREFIX}")


def hrefs(page: Page) -> set[str]:
    """Where the links of a page lead, but for those within it and to the admin."""
    script = "links => links.map(link => link.getAttribute('href'))"
    found: list[str] = page.eval_on_selector_all("a[href]", script)
    return {href for href in found if not href.startswith("#") and not href.startswith("/admin/")}


def test_pages_work_in_a_browser(foreign: Foreign, wide: Page, console: Console) -> None:
    """No console error and no missing file: the fixture fails the test for either."""
    missing: list[str] = []

    def answered(response: Response) -> None:
        if response.status >= 400:
            missing.append(response.url)

    wide.on("response", answered)
    console.allow(r"/favicon\.ico")  # of Django's own form, which names no icon
    sign_in(wide, foreign)
    wide.fill("[data-start] textarea", "Debate: should there be homework?")
    wide.click("[data-start] [type=submit]")
    wide.wait_for_url(re.compile(rf"{PREFIX}assistant/[^/]+/$"))
    pages = [wide.url]

    # The link is the agent's own text: it knows the debate's name, and the page knows the prefix.
    wide.click(".prose a:text('watch it here')", timeout=30_000)
    wide.wait_for_url(re.compile(rf"{PREFIX}debate/[^/]+/board/0/$"))
    expect(wide.locator(".ruling .prose")).to_be_visible(timeout=RULING_SECONDS * 1000)
    expect(wide.locator(".card.side-1").first).to_be_visible()
    pages += [wide.url, f"{foreign.url}{PREFIX}", f"{foreign.url}{PREFIX}shared/"]

    for address in pages:
        wide.goto(address)
        assert {href for href in hrefs(wide) if not href.startswith(PREFIX)} == set(), address
        assert wide.evaluate("getComputedStyle(document.body).getPropertyValue('--accent')"), address
        assert wide.evaluate("document.querySelector('.site-head').getBoundingClientRect().height") < 100
    wide.keyboard.press("g")
    wide.keyboard.press("a")
    wide.wait_for_url(f"{foreign.url}{PREFIX}agents/")
    assert missing == []


def test_the_admin_draws_what_the_apps_put_on_it(foreign: Foreign, wide: Page, console: Console) -> None:
    """Statuses have their dots, the tokens are found, and Django's own colours stay as they are."""
    ada = foreign.ada()
    ada.get(PREFIX)
    assert ada.post(f"{PREFIX}agents/new/assistant/", id="styled")[0] == 200
    page = ada.get("/admin/entities/entity/")[1]
    assert 'class="mark mark-' in page
    sheets = re.findall(r'href="(/static/agents/[^"]+\.css)"', page)
    answers = {sheet: ada.get(sheet) for sheet in sheets}
    assert {status for status, _ in answers.values()} == {200}
    assert any(".mark::before" in text for _, text in answers.values())

    console.allow(r"/favicon\.ico")
    sign_in(wide, foreign)
    wide.goto(f"{foreign.url}/admin/entities/entity/")
    style = "getComputedStyle(document.querySelector('.mark'), '::before')"
    assert wide.evaluate(f"{style}.width") == "8px"
    assert wide.evaluate(f"{style}.backgroundColor") != "rgba(0, 0, 0, 0)"
    accent = "getComputedStyle(document.documentElement).getPropertyValue('--accent')"
    assert wide.evaluate(accent) == "#f5dd5d"


def test_the_server_ends_when_it_is_asked_to(foreign: Foreign) -> None:
    """Nobody tells the hub when to stop here: it must hold no process back, also with a socket open.

    (Not Daphne: a socket that is open when its `runserver` ends crashes Python 3.11, whoever serves it.)
    """
    command = ("-m", "uvicorn", "mysite.asgi:application", "--host", "127.0.0.1", "--port", "0")
    server = foreign.serve(*command, ready="Uvicorn running on")
    ada = foreign.ada()
    ada.get(PREFIX)
    assert ada.post(f"{PREFIX}agents/new/assistant/", id="bye", message="Hello!")[0] == 200
    with ada.socket(f"{PREFIX}live/") as socket:
        follow(socket, "/assistant/bye", "timeline")

        assert server.stop() < 3
