"""Somebody signs out, or a session ends, while a page is open: it says so, leaves, and loses no word."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from tests.browser.acting import begin, composer
from tests.support.browser import Console
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

PASSWORD = "correct horse"
END_SESSIONS = "from django.contrib.sessions.models import Session; Session.objects.all().delete()"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A site on which people sign in."""
    with Installation(tmp_path_factory.mktemp("guarded")) as made:
        made.prepare(ada=PASSWORD)
        made.serve()
        yield made


def sign_in(page: Page) -> None:
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(context: BrowserContext, site: Installation) -> None:
    """In another tab, as people do who forgot the first."""
    tab = context.new_page()
    tab.goto(f"{site.url}/shared/")
    tab.get_by_label("Account").click()
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()


def expect_shown_out(page: Page, back: str) -> None:
    """The page says why, and goes to the sign-in page, which knows the way back."""
    expect(page.locator("#connection")).to_contain_text("You are signed out")
    page.wait_for_url(re.compile(r"/accounts/login/\?next="))
    expect(page.locator("input[name=next]")).to_have_value(back)


def test_signing_out_in_one_tab_is_heard_in_the_others(guarded: Installation, wide: Page) -> None:
    wide.goto(guarded.url)
    sign_in(wide)
    url = begin(wide, guarded, "Hello")
    wide.goto(f"{guarded.url}{url}/events/?type=all")
    expect(wide.locator("li.event").first).to_be_visible()

    sign_out(wide.context, guarded)

    expect_shown_out(wide, f"{url}/events/?type=all")
    sign_in(wide)
    expect(wide).to_have_url(f"{guarded.url}{url}/events/?type=all")


def test_what_was_written_when_the_session_ended_is_there_after_signing_in(
    guarded: Installation, wide: Page, console: Console
) -> None:
    console.allow(
        "WebSocket connection|WebSocket is already"
    )  # the second: what stands between, not the page
    sockets: list[WebSocketRoute] = []
    held: list[str] = []

    def opened(client: WebSocketRoute) -> None:
        server = client.connect_to_server()
        sockets.append(client)

        # A message on its way when the connection ends: whether it arrived, nobody knows.
        def pass_on(frame: str | bytes) -> None:
            if '"op":"send"' in str(frame) and not held:
                held.append(str(frame))
            else:
                server.send(frame)

        client.on_message(pass_on)

    wide.route_web_socket("**/live/", opened)
    wide.goto(guarded.url)
    sign_in(wide)
    url = begin(wide, guarded, "Hello")
    composer(wide).fill("sent as it ended")
    composer(wide).press("Enter")
    expect(wide.locator(".message-pending")).to_contain_text("sending")
    composer(wide).fill("half a tho")
    guarded.manage("shell", "--no-imports", "-c", END_SESSIONS)

    # The network stumbles; the server that is asked again knows nobody.
    sockets[-1].close(code=1011, reason="gone")

    expect_shown_out(wide, f"{url}/")
    sign_in(wide)
    expect(wide).to_have_url(f"{guarded.url}{url}/")
    expect(composer(wide)).to_have_value("half a tho")
    expect(wide.locator(".message-pending")).to_have_count(0)
    expect(wide.locator(".message-body", has_text="sent as it ended")).to_have_count(1)
    assert len(held) == 1


def test_a_page_whose_right_to_look_ended_says_so(guarded: Installation, wide: Page) -> None:
    def opened(client: WebSocketRoute) -> None:
        server = client.connect_to_server()

        def refuse(frame: str | bytes) -> None:
            if '"codec":"events"' in str(frame):
                number = re.search(r'"id":(\d+)', str(frame))
                assert number is not None
                refusal = {"op": "error", "id": int(number[1]), "code": "stream_not_found", "message": "No."}
                client.send(json.dumps(refusal))
            else:
                server.send(frame)

        client.on_message(refuse)

    wide.goto(guarded.url)
    sign_in(wide)
    url = begin(wide, guarded, "Hello")
    wide.route_web_socket("**/live/", opened)
    wide.goto(f"{guarded.url}{url}/events/")

    expect(wide.locator("#connection")).to_contain_text("no longer live")
