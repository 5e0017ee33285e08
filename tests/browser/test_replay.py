"""What was watched live is what a reload shows: pages opened before a debate, compared after it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.acting import DEBATE_SECONDS, expect_ruled, normal, send
from tests.browser.world import TOPIC
from tests.support.browser import WIDE
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

NewPage = Callable[[ViewportSize], Page]


def same_after_reload(page: Page, selector: str) -> None:
    """Fail with the lines that differ."""
    live = normal(page, selector)
    page.reload()
    # Statuses and titles arrive through the presence feed once the page is live.
    expect(page.locator(selector).first).to_be_attached()
    expect(page.locator("[data-status=running]")).to_have_count(0)
    reloaded = normal(page, selector)
    assert len(live) > 10
    missing = [line for line in reloaded if line not in live]
    extra = [line for line in live if line not in reloaded]
    assert (missing, extra) == ([], []), "lines only after the reload, and only before it"
    assert live == reloaded, "the order differs"


@pytest.fixture
def tab(new_page: NewPage) -> Callable[[str], Page]:
    """A function that opens an address in a tab of one and the same browser window."""
    first = new_page(WIDE)

    def open_tab(url: str) -> Page:
        page = first if first.url == "about:blank" else first.context.new_page()
        page.goto(url)
        return page

    return open_tab


def test_a_debate_that_was_watched_is_the_debate_that_a_reload_shows(
    talking: Installation, tab: Callable[[str], Page], key: str
) -> None:
    form = tab(f"{talking.url}/agents/new/debate/")
    form.get_by_label("Id").fill(key)
    form.get_by_role("button", name="Create").click()
    form.wait_for_url(re.compile(f"/debate/{key}/$"))
    timeline = form
    board = tab(f"{talking.url}/debate/{key}/board/0/")
    state = tab(f"{talking.url}/debate/{key}/state/")
    events = tab(f"{talking.url}/debate/{key}/events/")
    agents = tab(talking.url)
    expect(board.get_by_text("Nothing has been written yet.")).to_be_visible()

    send(timeline, TOPIC)
    # The workers' pages and the table exist as soon as the debate is open.
    expect(board.locator(".participant")).to_have_count(3)
    table = tab(f"{talking.url}/shared/debate-/debate/{key}/")
    shared_board = tab(f"{talking.url}/shared/debate-/debate/{key}/?view=board")
    worker = tab(f"{talking.url}/worker/{key}-con/")
    expect_ruled(board)
    expect(timeline.locator(".run-foot.run-started")).to_have_count(0, timeout=DEBATE_SECONDS)
    for page in (timeline, board, state, events, agents, table, worker):
        expect(page.locator("[data-status=running]")).to_have_count(0)
    expect(table.locator("tr.row")).to_have_count(4)
    expect(shared_board.locator(".card")).to_have_count(4)

    same_after_reload(board, ".board-region > :not([data-feed])")
    same_after_reload(timeline, ".timeline, .agent-title-line, .crumbs")
    same_after_reload(worker, ".timeline, .agent-title-line, .crumbs")
    same_after_reload(state, ".state-region .collection")
    same_after_reload(table, ".tables-region")
    same_after_reload(shared_board, ".board-region")
    same_after_reload(agents, "#agents-tree")
    same_after_reload(events, ".events")
