"""The main path: a question becomes a debate that one watches being written, up to a ruling."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import cards, expect_ruled, journal, open_debate, script
from tests.browser.world import TOPIC, World
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

KEYS = {"pro-1", "con-1", "pro-2", "con-2"}


def test_the_page_says_who_is_signed_in_and_which_model_speaks(talking: Installation, wide: Page) -> None:
    wide.goto(talking.url)

    expect(wide.locator("[data-notice=local-mode]")).to_contain_text("without a password")
    expect(wide.get_by_text("offline model", exact=True)).to_be_visible()
    wide.get_by_role("button", name="Understood").click()
    wide.reload()
    expect(wide.locator("[data-notice=local-mode]")).to_be_hidden()


def test_a_debate_is_watched_from_the_first_word_to_the_ruling(talking: Installation, wide: Page) -> None:
    wide.add_init_script(script("journal"))
    url = open_debate(wide, talking, TOPIC)

    expect(wide.get_by_role("heading", name="Should cities ban private cars?", level=2)).to_be_visible()
    expect(wide.locator(".participant")).to_have_count(3)
    expect(wide.locator(".participant [data-status=running]").first).to_be_visible()
    for side in ("pro", "con"):
        expect(wide.locator(f"[data-drafts={side}] [data-draft-text]")).not_to_be_empty()
    expect_ruled(wide)

    found = journal(wide)
    expected = ["idle", "debating", "ruling", "done"]
    assert found["phases"] == [phase for phase in expected if phase in found["phases"]]
    assert found["phases"][-1] == "done"
    assert "debating" in found["phases"]
    assert {card.removeprefix("card-") for card in found["cards"]} == KEYS
    for card in found["cards"]:
        drafts, text = found["lengths"][card]["written"], found["lengths"][card]["text"]
        if card.endswith("-1") and not drafts:
            continue  # it was complete when the page came: the debate does not wait for its viewers
        assert drafts, f"{card} was not seen before it was complete"
        assert len(drafts[0]) < len(text), f"{card} was seen only when it was complete"
        assert words(text).startswith(words(drafts[0])), f"{card} was drafted as {drafts[0]!r}"
        assert [len(draft) for draft in drafts] == sorted(len(draft) for draft in drafts)
    # The page was there before the second round began.
    assert all(len(found["lengths"][f"card-{side}-2"]["written"]) > 3 for side in ("pro", "con"))
    expect(wide.locator(".draft")).to_have_count(0)
    expect(wide.locator(".participant [data-status=idle]")).to_have_count(3)
    assert url.startswith("/debate/")


def words(text: str) -> str:
    """Letters alone: drafts have no marks of quotes and headings."""
    return re.sub(r"\W+", "", text)


def test_rounds_stand_side_by_side(world: World, wide: Page) -> None:
    wide.goto(f"{world.site.url}{world.pages['agent-board']}")

    for number in (1, 2):
        pro, con = (
            wide.locator(f".card[data-key={side}-{number}]").bounding_box() for side in ("pro", "con")
        )
        assert pro is not None
        assert con is not None
        assert pro["y"] == con["y"]
        assert pro["x"] + pro["width"] < con["x"]
        expect(wide.get_by_role("heading", name=f"Round {number}")).to_be_visible()


def test_the_ruling_cites_arguments_and_its_links_show_them(world: World, wide: Page) -> None:
    wide.goto(f"{world.site.url}{world.pages['agent-board']}")

    cites = wide.get_by_role("region", name="Ruling").locator("a.cite")
    names = [text.strip() for text in cites.all_inner_texts()]
    assert set(names) <= KEYS
    assert len(set(names)) >= 2
    expect(wide.locator(".card.cited")).to_have_count(len(set(names)))
    cites.first.click()

    expect(wide.locator(f".card[data-key={names[0]}]:target")).to_be_in_viewport()
    assert outline(wide, f".card[data-key={names[0]}]") != "none"
    expect(cards(wide)).to_have_count(4)


def outline(page: Page, selector: str) -> str:
    return str(page.locator(selector).evaluate("(element) => getComputedStyle(element).outlineStyle"))


def test_an_argument_links_to_the_tool_call_that_wrote_it(world: World, wide: Page) -> None:
    wide.goto(f"{world.site.url}{world.pages['agent-board']}")
    text = wide.locator(".card[data-key=con-1] .card-text").inner_text()

    wide.locator(".card[data-key=con-1]").get_by_role("link").click()

    wide.wait_for_url(re.compile(r"/worker/.*-con/#tool-"))
    call = wide.locator("details.tool.found")
    expect(call).to_be_in_viewport()
    expect(call.locator(".tool-name")).to_have_text("write_arguments")
    expect(call).to_have_attribute("open", "")
    expect(call.locator("pre").first).to_contain_text(text[:20])


def test_the_moderators_timeline_shows_waits_wakes_and_children(talking: Installation, wide: Page) -> None:
    url = open_debate(wide, talking, TOPIC)
    wide.goto(f"{talking.url}{url}/")

    children = wide.locator(".child")
    expect(children).to_have_count(2)
    expect(wide.locator(".child [data-status=running]").first).to_be_visible()
    expect(wide.get_by_text("I wait for the first arguments.")).to_be_visible()
    for side in ("pro", "con"):
        expect(
            wide.locator(".wake", has_text=re.compile(rf"woke\s.*-{side} finished", re.DOTALL)).first
        ).to_be_visible()
    expect(wide.locator(".tool-name", has_text="end_debate")).to_be_visible(timeout=60_000)
    expect(wide.locator(".child [data-status=idle]")).to_have_count(2)
    expect(wide.locator(".run-foot.run-started")).to_have_count(0)

    wake = wide.locator(".wake", has_text="-pro finished").first
    wake.locator("summary").click()
    expect(wake.get_by_role("link", name=re.compile("-pro$"))).to_be_visible()
    children.first.get_by_role("link").click()
    wide.wait_for_url(re.compile("/worker/"))


def test_the_assistant_says_when_the_debate_is_over(world: World, wide: Page) -> None:
    wide.goto(f"{world.site.url}{world.debater}/")

    expect(wide.locator(".child").get_by_role("link")).to_have_text("Should cities ban private cars?")
    expect(wide.locator(".child [data-status]")).to_have_text("idle")
    expect(wide.locator(".run-foot.run-completed")).to_have_count(2)
    expect(wide.locator(".wake", has_text="woke").last).to_contain_text("debater-debate-1")
    expect(wide.locator(".run").last).to_contain_text("debate")
