"""Stop, by button or Escape, ends a running model within a second, and the run says so."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import begin, composer, script, send
from tests.browser.world import CODE
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

# Milliseconds from the click to the page's word that the run was stopped.
AT_ONCE = 1_000


@pytest.fixture(scope="module")
def drawling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A site whose model would take half a minute for an answer."""
    with Installation(tmp_path_factory.mktemp("drawling"), AGENTS_OFFLINE_WORDS_PER_SECOND="4") as made:
        made.quickstart()
        yield made


def timed(page: Page, act: str) -> float:
    """Milliseconds from an act in the page to the moment at which it shows a stopped run."""
    stopped = (
        "[...document.querySelectorAll('.run-foot')].some((each) => each.textContent.includes('stopped'))"
    )
    return float(
        page.evaluate(
            f"async () => {{ const began = performance.now(); {act};"
            f" if (!await ({script('until')})(10000, () => {stopped})) return 1e9;"
            " return performance.now() - began; }"
        )
    )


def test_the_button_stops_a_run_at_once(drawling: Installation, wide: Page) -> None:
    begin(wide, drawling, CODE)
    expect(wide.locator(".text.streaming")).to_contain_text("Put this")
    button = wide.get_by_role("button", name="Stop")
    expect(button).to_be_visible()

    assert timed(wide, "document.querySelector('[data-stop]').click()") < AT_ONCE

    expect(button).to_be_hidden()
    expect(wide.locator("h1 + .status")).to_have_attribute("data-status", "idle")
    expect(wide.locator(".text")).to_contain_text("Put this")
    expect(wide.locator(".streaming")).to_have_count(0)
    expect(wide.locator(".signal")).to_contain_text("run interrupted")
    wide.reload()
    expect(wide.locator(".run-foot")).to_contain_text("stopped")
    expect(wide.locator(".text")).to_contain_text("Put this")


def test_escape_stops_a_run_at_once(drawling: Installation, wide: Page) -> None:
    begin(wide, drawling, CODE)
    expect(wide.locator(".text.streaming")).to_contain_text("Put this")
    expect(wide.get_by_role("button", name="Stop")).to_be_visible()
    composer(wide).focus()

    escape = "new KeyboardEvent('keydown', {key: 'Escape', bubbles: true})"
    assert timed(wide, f"document.activeElement.dispatchEvent({escape})") < AT_ONCE


def test_escape_closes_a_dialog_and_leaves_the_run_alone(drawling: Installation, wide: Page) -> None:
    begin(wide, drawling, CODE)
    expect(wide.get_by_role("button", name="Stop")).to_be_visible()
    wide.get_by_role("heading", level=1).click()
    wide.keyboard.press("?")
    expect(wide.get_by_role("dialog")).to_be_visible()

    wide.keyboard.press("Escape")

    expect(wide.get_by_role("dialog")).to_be_hidden()
    expect(wide.locator(".text.streaming")).to_contain_text("Put this")
    expect(wide.get_by_role("button", name="Stop")).to_have_text("Stop")
    wide.keyboard.press("Escape")
    expect(wide.locator(".run-foot")).to_contain_text("stopped")


def test_a_stopped_agent_answers_the_next_message(drawling: Installation, wide: Page) -> None:
    begin(wide, drawling, CODE)
    wide.get_by_role("button", name="Stop").click()
    expect(wide.locator(".run-foot")).to_contain_text("stopped")

    send(wide, "Thanks!")

    expect(wide.locator(".run")).to_have_count(2)
    expect(wide.locator(".run").last.locator(".text")).not_to_be_empty()
    expect(wide.locator(".run-foot").last).to_contain_text("done in")


def test_a_message_may_be_sent_while_the_agent_works(drawling: Installation, wide: Page) -> None:
    begin(wide, drawling, CODE)
    expect(wide.locator(".text.streaming")).to_be_visible()
    send(wide, "Thanks!")

    expect(wide.locator(".message")).to_have_count(2)
    expect(wide.locator(".message-pending")).to_have_count(0)
    wide.get_by_role("button", name="Stop").click()
    expect(wide.locator(".run-foot").first).to_contain_text("stopped")
    expect(wide.locator(".run-foot").last).to_contain_text("done in")
