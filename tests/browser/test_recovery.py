"""The process is killed in the middle of a debate, and an open page goes on with it, without a reload."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import cards, expect_ruled, normal, open_debate
from tests.browser.world import TOPIC
from tests.support.browser import Console
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

KEYS = ["con-1", "con-2", "pro-1", "pro-2"]


def test_a_debate_goes_on_after_a_kill_and_the_open_page_with_it(
    installation: Installation, wide: Page, console: Console
) -> None:
    console.allow("WebSocket connection|ERR_CONNECTION")
    installation.environment["AGENTS_OFFLINE_WORDS_PER_SECOND"] = "30"
    server = installation.quickstart()
    url = open_debate(wide, installation, TOPIC)
    wide.evaluate("window.notReloaded = true")
    # The first argument is there and the second is half written.
    expect(cards(wide).first).to_be_visible()
    expect(wide.locator(".board-drafts [data-draft-text]").first).not_to_be_empty()

    server.kill()

    expect(wide.locator("#connection")).to_contain_text("connection is lost")
    assert wide.locator("#connection").get_attribute("role") == "status"
    began = cards(wide).count()
    assert began < 4

    installation.quickstart()

    expect(wide.locator("#connection")).to_contain_text("Connected again")
    expect_ruled(wide)
    expect(wide.locator("#connection")).to_be_hidden()
    assert wide.evaluate("window.notReloaded") is True
    assert sorted(wide.locator(".board .card .card-key").all_inner_texts()) == KEYS
    expect(wide.locator(".draft")).to_have_count(0)
    expect(wide.locator(".participant [data-status=idle]")).to_have_count(3)

    live = normal(wide, ".board-region")
    wide.reload()
    expect_ruled(wide)
    assert normal(wide, ".board-region") == live
    wide.goto(f"{installation.url}{url}/")
    expect(wide.locator(".child")).to_have_count(2)
    expect(wide.locator(".tool-name", has_text="end_debate")).to_have_count(1)


def test_an_answer_that_was_cut_off_by_a_kill_is_said_once(
    installation: Installation, wide: Page, console: Console
) -> None:
    console.allow("WebSocket connection|ERR_CONNECTION")
    installation.environment["AGENTS_OFFLINE_WORDS_PER_SECOND"] = "30"
    server = installation.quickstart()
    wide.goto(installation.url)
    wide.get_by_label("Message to a new assistant").fill("How do I write my own agent?")
    wide.keyboard.press("Enter")
    expect(wide.locator(".text.streaming")).to_contain_text("Put this into")

    server.kill()
    expect(wide.locator("#connection")).to_contain_text("connection is lost")
    installation.quickstart()

    expect(wide.locator(".run-foot.run-completed")).to_have_count(1)
    expect(wide.locator(".text.prose")).to_have_count(1)
    expect(wide.locator(".text .code-block")).to_have_count(1)
    assert wide.locator(".timeline").inner_text().count("Put this into") == 1
    live = normal(wide, ".timeline")
    wide.reload()
    assert normal(wide, ".timeline") == live
    installation.consult_the_doctor()
