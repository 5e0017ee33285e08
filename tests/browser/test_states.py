"""What is only seen when something happens: it is legible in both schemes, and fits a phone."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, WebSocketRoute, expect

from tests.browser import forging, inspecting
from tests.browser.acting import begin, composer, expect_answered, open_debate, send
from tests.browser.world import CODE, TOPIC
from tests.support.browser import PHONE, WIDE, Console
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

NewPage = Callable[[ViewportSize], Page]
MOMENT = "2026-01-01T12:00:00+00:00"
LONG = "Overloaded" + "!" * 300


def expect_legible(page: Page) -> None:
    """In light and in dark, and without scrolling sideways."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert inspecting.faint_texts(page) == [], scheme
    assert inspecting.sticks_out(page) == []


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_an_error_stands_where_it_happened(site: Installation, new_page: NewPage, size: ViewportSize) -> None:
    page = new_page(size)
    url = begin(page, site, "Hello")
    expect_answered(page)
    value = {"key": "e1", "error_code": "overloaded", "message": LONG, "run_id": "1.0", "timestamp": MOMENT}
    forging.append(site, url, "insert", "error", "e1", value)
    run = {
        "key": "1.0",
        "status": "failed",
        "finish_reason": "error",
        "started_at": MOMENT,
        "ended_at": MOMENT,
    }
    forging.append(site, url, "update", "run", "1.0", run)

    error = page.locator(".run .run-items .error")
    expect(error).to_have_attribute("role", "alert")
    expect(error).to_contain_text("overloaded")
    expect(error).to_contain_text(LONG)
    expect(page.locator(".run-foot")).to_contain_text("failed")
    expect_legible(page)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_pending_failed_and_lost_are_legible(
    site: Installation, new_page: NewPage, size: ViewportSize, console: Console
) -> None:
    console.allow("WebSocket connection")
    page = new_page(size)
    sockets: list[WebSocketRoute] = []
    refused: list[str] = []

    def opened(client: WebSocketRoute) -> None:
        if refused:
            return client.close(code=1011, reason="down")
        server = client.connect_to_server()
        sockets.append(client)

        def decide(frame: str | bytes) -> None:
            read = json.loads(frame)
            if read["op"] != "send":
                server.send(frame)
            elif read["payload"] == "refuse me":
                error = {"op": "error", "ref": read["ref"], "code": "refused", "message": LONG}
                client.send(json.dumps(error))

        return client.on_message(decide)

    page.route_web_socket("**/live/", opened)
    begin(page, site, "Hello")
    expect_answered(page)
    send(page, "refuse me")
    expect(page.locator(".message-failed")).to_contain_text(LONG)
    send(page, "hold me")
    expect(page.locator(".message-pending").last).to_contain_text("sending")
    expect_legible(page)

    refused.append("everybody")
    sockets[-1].close(code=1011, reason="down")
    expect(page.locator("#connection")).to_contain_text("connection is lost")
    expect(page.locator(".message-failed")).to_have_count(2)
    expect_legible(page)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_what_is_being_written_is_legible(
    talking: Installation, new_page: NewPage, size: ViewportSize
) -> None:
    page = new_page(size)
    begin(page, talking, CODE)
    expect(page.locator(".text.streaming .code-block")).to_be_visible()
    expect_legible(page)
    composer(page).press("Escape")
    expect(page.locator(".error-wanted")).to_contain_text("Stopped")
    expect_legible(page)

    open_debate(page, talking, TOPIC)
    expect(page.locator(".board .draft [data-draft-text]").first).to_be_visible()
    expect_legible(page)
