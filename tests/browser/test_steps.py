"""Steps in the browser's history: what htmx swaps in, back and forward, does all that a loaded page does."""

import json
import re

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.acting import begin, composer, expect_answered, send, wait_for
from tests.browser.world import begin as begin_over_http
from tests.support.client import Client
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

BOOST = """() => {
  const tree = document.querySelector("[data-tree]");
  tree.setAttribute("hx-boost", "true");
  window.htmx.process(tree);
  window.notReloaded = true;
}"""
TIME = re.compile(r"\d")


@pytest.fixture
def sent(wide: Page) -> list[str]:
    """The messages that the page's sockets send."""
    found: list[str] = []

    def opened(client: WebSocketRoute) -> None:
        server = client.connect_to_server()

        def upwards(frame: str | bytes) -> None:
            read = json.loads(frame)
            if read["op"] == "send":
                found.append(read["payload"])
            server.send(frame)

        client.on_message(upwards)

    wide.route_web_socket("**/live/", opened)
    return found


def expect_bound(page: Page) -> None:
    """The list of agents is bound, once. A step back may still be on its way to another page."""
    page.wait_for_load_state()
    expect(page.get_by_role("searchbox")).to_be_visible()  # an agent's page has a tree, too
    expect(page.locator("[data-tree] time").first).to_have_attribute("title", TIME)
    page.locator("main").click(position={"x": 1, "y": 1})
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    links = page.locator("[data-tree] .agent-link")
    links.nth(0).focus()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()


def listeners(page: Page) -> int:
    """How many listeners wait on the document and the window, by the browser's own account."""
    session = page.context.new_cdp_session(page)
    found = 0
    for name in ("document", "window"):
        there = session.send("Runtime.evaluate", {"expression": name})["result"]["objectId"]
        found += len(session.send("DOMDebugger.getEventListeners", {"objectId": there})["listeners"])
    session.detach()
    return found


def test_back_and_forward_between_searches_bind_the_list_again(
    site: Installation, wide: Page, key: str
) -> None:
    person = Client(site.url)
    person.get("/")
    for letter in "abc":
        begin_over_http(person, f"{key}{letter}", f"Hello {key}{letter}")
    wide.goto(site.url)
    wide.evaluate("window.notReloaded = true")
    wide.get_by_role("searchbox").fill(key)
    found = wide.get_by_role("status").filter(has_text="3 found")
    expect(found).to_be_visible()
    expect_bound(wide)

    wide.go_back()
    expect(found).to_be_hidden()
    expect_bound(wide)
    begin_over_http(person, f"{key}d", "Hello again")
    expect(wide.locator(f"[data-line='/assistant/{key}d']")).to_have_count(1)
    expect(wide.locator(f"[data-line='/assistant/{key}d'] .status-word")).to_have_text("idle")
    wide.go_forward()
    expect(wide.get_by_role("status").filter(has_text="found")).to_be_visible()
    expect_bound(wide)
    assert wide.evaluate("window.notReloaded") is True


def test_back_and_forward_between_boosted_pages_bind_everything_once(
    site: Installation, wide: Page, sent: list[str]
) -> None:
    url = begin(wide, site, "Hello")
    expect_answered(wide)
    wide.goto(site.url)
    wide.evaluate(BOOST)
    wide.locator(f"[data-line='{url}']").get_by_role("link").click()
    wide.wait_for_url(f"**{url}/")
    send(wide, "number 1")
    expect_answered(wide, runs=2)
    assert sent == ["number 1"]
    before = listeners(wide)

    wide.go_back()
    expect_bound(wide)
    wide.go_forward()
    expect(wide.locator(".message-body")).to_have_text(["Hello", "number 1"])
    wide.locator("h1").click()
    wide.keyboard.press("c")
    expect(composer(wide)).to_be_focused()
    wide.keyboard.type("number 2")
    wide.keyboard.press("Enter")
    expect_answered(wide, runs=3)
    expect(wide.locator(".message-body")).to_have_text(["Hello", "number 1", "number 2"])
    expect(wide.locator(".message time").last).to_have_attribute("title", TIME)
    wait_for(wide, "document.querySelector('#announce').textContent")
    assert sent == ["number 1", "number 2"]
    # What the page had before the two steps listens no more.
    assert listeners(wide) == before
    assert wide.evaluate("window.notReloaded") is True


def test_a_page_that_comes_back_whole_is_live_again(site: Installation, wide: Page, sent: list[str]) -> None:
    """As a browser's cache for back and forward gives it: the page is as it was, its socket is closed."""
    begin(wide, site, "Hello")
    expect_answered(wide)
    wide.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    wide.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")

    send(wide, "number 1")
    expect_answered(wide, runs=2)
    expect(wide.locator(".message-body")).to_have_text(["Hello", "number 1"])
    assert sent == ["number 1"]
