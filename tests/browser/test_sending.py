"""A message is on the page at once, waits there until the log has it, and is never said twice."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.acting import begin, expect_answered, send, wait_for
from tests.support.browser import Console
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

Decide = Callable[[WebSocketRoute, WebSocketRoute, str], None]


def through(page: Page, decide: Decide) -> None:
    """Let a function see every frame that the page sends; what the server says passes."""

    def opened(client: WebSocketRoute) -> None:
        server = client.connect_to_server()
        client.on_message(lambda frame: decide(client, server, str(frame)))

    page.route_web_socket("**/live/", opened)


def test_a_message_is_pending_until_the_log_has_it(site: Installation, wide: Page) -> None:
    held: list[Callable[[], None]] = []

    def hold(client: WebSocketRoute, server: WebSocketRoute, frame: str) -> None:
        if json.loads(frame)["op"] == "send":
            held.append(lambda: server.send(frame))
        else:
            server.send(frame)

    through(wide, hold)
    begin(wide, site, "Hello")
    expect_answered(wide)
    send(wide, "What time is it?")

    pending = wide.locator(".message-pending")
    expect(pending).to_have_text(
        "root\nsending\nWhat time is it?".replace("root", _me(wide)), use_inner_text=True
    )
    ident = pending.get_attribute("id")
    while not held:
        wide.wait_for_timeout(10)
    held[0]()

    expect(wide.locator(".message-pending")).to_have_count(0)
    expect(wide.locator(".message")).to_have_count(2)
    assert wide.locator(".message").last.get_attribute("id") == ident
    expect_answered(wide, runs=2)
    wide.reload()
    expect(wide.locator(".message")).to_have_count(2)


def _me(page: Page) -> str:
    return str(page.evaluate("document.body.dataset.me")).removeprefix("user:")


def test_a_message_whose_receipt_was_lost_is_not_said_twice(
    site: Installation, wide: Page, console: Console
) -> None:
    sent: list[str] = []

    def lose_the_first(client: WebSocketRoute, server: WebSocketRoute, frame: str) -> None:
        if json.loads(frame)["op"] == "send":
            sent.append(json.loads(frame)["key"])
            server.send(frame)
            if len(sent) == 1:
                client.close(code=1011, reason="lost on the way back")
            return
        server.send(frame)

    through(wide, lose_the_first)
    begin(wide, site, "Hello")
    expect_answered(wide)
    send(wide, "Thanks!")

    expect(wide.locator(".message-pending")).to_have_count(0)
    expect_answered(wide, runs=2)
    assert len(set(sent)) == 1, sent
    expect(wide.locator(".message")).to_have_count(2)
    wide.reload()
    expect(wide.locator(".message")).to_have_count(2)
    expect(wide.locator(".run")).to_have_count(2)


def test_a_refused_message_is_red_and_is_sent_again_on_request(site: Installation, wide: Page) -> None:
    keys: list[str] = []

    def refuse_the_first(client: WebSocketRoute, server: WebSocketRoute, frame: str) -> None:
        read = json.loads(frame)
        if read["op"] == "send":
            keys.append(read["key"])
            if len(keys) == 1:
                error = {"op": "error", "ref": read["ref"], "code": "refused", "message": "Not today."}
                client.send(json.dumps(error))
                return
        server.send(frame)

    through(wide, refuse_the_first)
    begin(wide, site, "Hello")
    expect_answered(wide)
    send(wide, "Tell me a joke")

    failed = wide.locator(".message-failed")
    expect(failed).to_contain_text("Not today.")
    expect(failed.get_by_role("button", name="Retry")).to_be_in_viewport()
    assert wide.locator(".message-failed [data-pending-state]").evaluate(
        "(element) => getComputedStyle(element).color"
    ) == wide.evaluate("getComputedStyle(document.querySelector('.button-stop')).color")
    failed.get_by_role("button", name="Retry").click()

    expect(wide.locator(".message-failed, .message-pending")).to_have_count(0)
    expect_answered(wide, runs=2)
    expect(wide.locator(".message")).to_have_count(2)
    assert keys == [keys[0]] * 2


def test_a_refused_message_can_be_taken_back(site: Installation, wide: Page) -> None:
    def refuse(client: WebSocketRoute, server: WebSocketRoute, frame: str) -> None:
        read = json.loads(frame)
        if read["op"] != "send":
            return server.send(frame)
        error = {"op": "error", "ref": read["ref"], "code": "refused", "message": "Not today."}
        return client.send(json.dumps(error))

    through(wide, refuse)
    begin(wide, site, "Hello")
    expect_answered(wide)
    send(wide, "Never mind")
    wide.get_by_role("button", name="Discard").click()

    expect(wide.locator(".message")).to_have_count(1)
    expect(wide.get_by_role("textbox", name="Message to")).to_have_value("Never mind")
    wide.reload()
    expect(wide.locator(".message")).to_have_count(1)


def test_a_message_written_without_a_server_goes_out_when_it_is_back(
    installation: Installation, wide: Page, console: Console
) -> None:
    console.allow("WebSocket connection|ERR_CONNECTION")
    server = installation.quickstart()
    begin(wide, installation, "Hello")
    expect_answered(wide)

    server.kill()
    expect(wide.locator("#connection")).to_be_visible()
    send(wide, "Are you there?")

    failed = wide.locator(".message-failed")
    expect(failed).to_contain_text("goes out when the connection is back")
    expect(failed.get_by_role("button", name="Retry")).to_be_visible()
    ident = failed.get_attribute("id")
    installation.quickstart()

    expect(wide.locator(".message-failed, .message-pending")).to_have_count(0)
    expect_answered(wide, runs=2)
    expect(wide.locator(".message")).to_have_count(2)
    assert wide.locator(".message").last.get_attribute("id") == ident
    wide.reload()
    expect(wide.locator(".message")).to_have_count(2)


def test_a_message_that_is_too_long_is_refused_before_it_is_sent(site: Installation, wide: Page) -> None:
    begin(wide, site, "Hello")
    expect_answered(wide)
    text = "é" * 40_000
    send(wide, text)

    expect(wide.locator("[data-composer-error]")).to_contain_text("80,000 bytes; 60,000 are allowed")
    expect(wide.get_by_role("textbox", name="Message to")).to_have_value(text)
    expect(wide.locator(".message")).to_have_count(1)


def test_a_phone_shows_what_was_not_sent_and_how_to_try_again(site: Installation, phone: Page) -> None:
    def refuse(client: WebSocketRoute, server: WebSocketRoute, frame: str) -> None:
        read = json.loads(frame)
        if read["op"] != "send":
            return server.send(frame)
        error = {"op": "error", "ref": read["ref"], "code": "refused", "message": "Not today. " * 9}
        return client.send(json.dumps(error))

    through(phone, refuse)
    begin(phone, site, "How do I write my own agent?")
    expect_answered(phone)
    send(phone, "Hello again")

    failed = phone.locator(".message-failed")
    expect(failed.get_by_role("button", name="Retry")).to_be_visible()
    lowest = "document.querySelector('.message-failed').getBoundingClientRect().bottom"
    wait_for(phone, f"{lowest} <= document.querySelector('.dock').getBoundingClientRect().top")
