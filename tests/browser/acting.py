"""What a person does with the pages, in the words of the tests."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.processes import Installation

SCRIPTS = Path(__file__).with_name("scripts")
DEBATE_SECONDS = 60_000
"""Milliseconds that a debate may take at a pace that people can follow."""


def script(name: str) -> str:
    """The text of one of our scripts that run inside the page."""
    return (SCRIPTS / f"{name}.js").read_text()


def begin(page: Page, site: Installation, text: str) -> str:
    """Write to a new assistant on the home page; returns the agent's address without the site's."""
    page.goto(site.url)
    page.get_by_label("Message to a new assistant").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/assistant/[^/]+/$"))
    return page.url.removeprefix(site.url).rstrip("/")


def composer(page: Page) -> Locator:
    """The text field of an agent's page."""
    return page.get_by_role("textbox", name="Message to")


def send(page: Page, text: str) -> None:
    """Write to the agent whose page this is."""
    composer(page).fill(text)
    composer(page).press("Enter")


def expect_answered(page: Page, runs: int = 1) -> None:
    """Wait until a number of runs are complete, and none goes on."""
    expect(page.locator(".run-foot.run-completed")).to_have_count(runs)
    expect(page.locator(".run-foot.run-started")).to_have_count(0)


def open_debate(page: Page, site: Installation, topic: str) -> str:
    """Ask an assistant for a debate and follow its link to the board; returns the moderator's address."""
    begin(page, site, topic)
    page.get_by_role("link", name="watch it here").click()
    page.wait_for_url(re.compile(r"/debate/[^/]+/board/0/$"))
    return re.sub(r"/board/0/$", "", page.url.removeprefix(site.url))


def expect_ruled(page: Page) -> None:
    """Wait until the board shows the ruling."""
    expect(page.locator(".phases")).to_have_attribute("data-phase", "done", timeout=DEBATE_SECONDS)
    expect(page.get_by_role("region", name="Ruling")).to_be_visible()


def cards(page: Page) -> Locator:
    """The arguments on a board, without drafts."""
    return page.locator(".board .card:not(.draft)")


def wait_for(page: Page, expression: str, milliseconds: float = 10_000) -> None:
    """Wait until a JavaScript expression is true in the page; asked again at every change of the page.

    Playwright's `wait_for_function` compiles a string in the page, which our policy forbids.
    """
    found = page.evaluate(f"({script('until')})({json.dumps(milliseconds)}, () => ({expression}))")
    assert found, f"waited {milliseconds:g} ms in vain for {expression}"


def journal(page: Page) -> Any:
    """What journal.js wrote down on this page so far."""
    return page.evaluate("window.journal")


def normal(page: Page, selector: str) -> list[str]:
    """A part of the page in lines that can be compared; see normal.js for what is left out."""
    return list(page.evaluate(f"({script('normal')})({json.dumps(selector)})"))
