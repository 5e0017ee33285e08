"""State and shared state as live tables, and the raw log."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import forging
from tests.browser.acting import begin, expect_answered, send, wait_for
from tests.browser.world import World, make_world, resting, say
from tests.browser.world import begin as begin_over_http
from tests.support.client import Client
from tests.support.processes import Installation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def mine(site: Installation) -> World:
    """A world of this module's own: it is changed."""
    return make_world(site)


def test_a_note_appears_in_the_state_tab(site: Installation, wide: Page) -> None:
    url = begin(wide, site, "Hello")
    expect_answered(wide)
    other = wide.context.new_page()
    other.goto(f"{site.url}{url}/")
    wide.get_by_role("link", name="State", exact=True).click()
    notes = wide.get_by_role("region", name="notes").first
    expect(notes.get_by_role("row")).to_have_count(1)
    expect(wide.get_by_text("No rows yet.")).to_be_visible()

    send(other, "Remember that my cat is called Miso")

    row = wide.locator("tr[data-key=note-1]")
    expect(row).to_contain_text("Miso")
    expect(row).to_have_class(re.compile(r"\bflash\b"))
    expect(wide.locator("[data-count-of]")).to_have_text("1")
    expect(wide.get_by_text("No rows yet.")).to_be_hidden()
    row.get_by_role("link").click()
    wide.wait_for_url(re.compile(r"#tool-"))
    expect(wide.locator("details.tool.found .tool-name")).to_have_text("remember")


def test_a_count_that_the_server_did_not_finish_stays_as_it_is(site: Installation, wide: Page) -> None:
    url = begin(wide, site, "Hello")
    expect_answered(wide)
    wide.goto(f"{site.url}{url}/state/")
    count = wide.locator("[data-count-of]")
    count.evaluate("(element) => element.textContent = '10,000+'")
    other = wide.context.new_page()
    other.goto(f"{site.url}{url}/")

    send(other, "Remember that my cat is called Miso")

    expect(wide.locator("tr[data-key=note-1]")).to_contain_text("Miso")
    expect(count).to_have_text("10,000+")


def test_the_shared_list_leads_to_tables_and_to_the_board(mine: World, wide: Page) -> None:
    wide.goto(f"{mine.site.url}/shared/")
    expect(wide.locator(".stream-row .counts")).to_have_text(re.compile(r"arguments\s*4"))
    wide.get_by_role("link", name="debate-/debate/").click()

    expect(wide.locator("tr.row")).to_have_count(4)
    expect(wide.get_by_role("columnheader")).to_have_text(["key", "side", "text", "round", "changed by"])
    wide.get_by_role("link", name="Board").click()
    expect(wide.locator(".board .card")).to_have_count(4)
    wide.get_by_role("link", name="Tables").click()
    wide.locator("tr[data-key=con-2]").get_by_role("link").click()
    wide.wait_for_url(re.compile(r"-con/#tool-"))
    expect(wide.locator("details.tool.found")).to_be_in_viewport()


def test_a_shared_state_leads_back_to_its_agents(mine: World, wide: Page) -> None:
    wide.goto(f"{mine.site.url}{mine.shared}")

    wide.get_by_role("link", name=mine.debater.removeprefix("/")).click()

    wide.wait_for_url(f"{mine.site.url}{mine.debater}/")
    wide.locator(".child").get_by_role("link").click()
    wide.wait_for_url(f"{mine.site.url}{mine.debate}/")
    wide.get_by_role("complementary").get_by_role("link", name="debate-/debate/").click()
    expect(wide.locator("tr.row")).to_have_count(4)


def test_a_changed_cell_flashes_and_says_who_changed_it_from_what(mine: World, wide: Page) -> None:
    wide.goto(f"{mine.site.url}{mine.shared}")
    row = wide.locator("tr[data-key=pro-1]")
    text = row.locator("[data-label=text]")
    before = text.inner_text()
    board = wide.context.new_page()
    board.goto(f"{mine.site.url}{mine.debate}/board/0/")
    writer = wide.locator("tr[data-key=con-1] .cell-author a").get_attribute("href") or ""
    agent, call = writer.split("/#tool-")

    forging.change(
        mine.site,
        f"shared:debate-{mine.debate}",
        "pro-1",
        {"key": "pro-1", "side": "pro", "text": "Streets are for people.", "round": 1},
        (f"agent:{agent}", "", "1.0", call),
    )

    expect(text).to_have_class(re.compile(r"\bflash\b"))
    expect(row.locator(".changed")).to_have_count(1)
    expect(text.locator(".value").first).to_have_text("Streets are for people.")
    note = text.locator(".was")
    expect(note).to_be_hidden()
    text.focus()
    expect(note).to_be_visible()
    expect(note.locator("del")).to_contain_text(before[:40])
    expect(note.locator("ins")).to_have_text("Streets are for people.")
    expect(note).to_contain_text("in run 1.0")
    expect(note.get_by_role("link")).to_have_attribute("href", writer)
    expect(board.locator(".card[data-key=pro-1]")).to_contain_text("Streets are for people.")
    expect(board.locator(".card[data-key=pro-1] .card-foot a")).to_have_attribute("href", writer)

    wide.reload()
    expect(row.locator(".changed")).to_have_count(1)
    row.locator("[data-label=text]").hover()
    expect(row.locator(".was")).to_be_visible()


def test_the_log_is_live_and_the_newest_event_stands_first(site: Installation, wide: Page) -> None:
    url = begin(wide, site, "Hello")
    expect_answered(wide)
    other = wide.context.new_page()
    other.goto(f"{site.url}{url}/events/")
    inserted = other.locator("li.event[data-type=inbox] .event-insert")
    expect(inserted).to_have_count(1)

    send(wide, "Thanks!")

    expect(inserted).to_have_count(2)
    expect_answered(wide, runs=2)
    expect(other.locator("li.event[data-type=run] .event-update")).to_have_count(2)
    expect(other.locator("li.event").last).to_have_attribute("data-offset", "1")
    offsets = [int(text) for text in other.locator(".event-offset").all_inner_texts()]
    assert offsets == sorted(offsets, reverse=True)
    assert len(offsets) == len(set(offsets))
    expect(other.locator("li.event[data-type$=_delta]")).to_have_count(0)


def test_the_log_is_filtered_by_type_and_shows_an_event_in_full(mine: World, wide: Page) -> None:
    wide.goto(f"{mine.site.url}{mine.debate}/events/")
    wide.get_by_label("Type").select_option("tool_call")
    wide.wait_for_url(re.compile(r"type=tool_call"))

    types = set(wide.locator("li.event .event-type").all_inner_texts())
    assert types == {"tool_call"}
    event = wide.locator("li.event").first
    event.locator("summary").click()
    expect(event.locator("pre")).to_contain_text('"headers"')
    expect(event.locator("pre")).to_contain_text("end_debate")


def test_earlier_events_are_loaded_on_request(site: Installation, wide: Page, key: str) -> None:
    person = Client(site.url)
    person.get("/")
    begin_over_http(person, key, "number 0")
    for number in range(1, 20):
        say(person, f"/assistant/{key}", f"number {number}")
    wait_until(lambda: resting(person, f"/assistant/{key}"), "the agent to rest")
    wide.goto(f"{site.url}/assistant/{key}/events/?type=all")
    events = wide.locator("li.event")
    expect(events.nth(99)).to_be_attached()
    while (button := wide.get_by_role("button", name="Earlier events")).count():
        shown = events.count()
        button.click()
        wait_for(wide, f"document.querySelectorAll('li.event').length > {shown}")
    offsets = [int(text) for text in wide.locator(".event-offset").all_inner_texts()]

    assert offsets == list(range(len(offsets), 0, -1))


def test_a_thought_is_folded_away_and_opens(site: Installation, wide: Page) -> None:
    url = begin(wide, site, "Hello")
    expect_answered(wide)
    moment = "2026-01-01T12:00:0{}+00:00"
    value = {
        "key": "1.0-s1-r0",
        "run_id": "1.0",
        "status": "completed",
        "content": "They greet me, so **I greet back**.",
        "started_at": moment.format(0),
        "ended_at": moment.format(2),
    }
    forging.append(site, url, "insert", "reasoning", "1.0-s1-r0", value)

    thought = wide.locator("details.reasoning")
    expect(thought.locator("summary")).to_have_text("Thought for 2.0 s")
    expect(thought.locator(".reasoning-body")).to_be_hidden()
    thought.locator("summary").click()
    expect(thought.locator(".reasoning-body strong")).to_have_text("I greet back")
