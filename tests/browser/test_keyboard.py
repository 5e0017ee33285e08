"""The main path with nothing but a keyboard, and what eyes and ears are told on it."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.acting import begin, composer, expect_answered, expect_ruled, script
from tests.browser.world import TOPIC, World
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

MOST_STOPS = 80


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until an element has the focus; every stop on the way must show that it has it."""
    handle = target.element_handle()
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(script("focus"))
        assert stop["visible"], f"one cannot see that {stop['name']} has the focus"
        if target.evaluate(
            "(element, wanted) => element === wanted && element === document.activeElement", handle
        ):
            return
    raise AssertionError(f"{MOST_STOPS} stops do not reach {target}")


def test_a_debate_is_started_followed_and_read_by_keyboard(talking: Installation, wide: Page) -> None:
    wide.goto(talking.url)
    wide.keyboard.press("Tab")
    skip = wide.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    wide.keyboard.press("Enter")
    tab_to(wide, wide.get_by_label("Message to a new assistant"))
    wide.keyboard.type(TOPIC)
    wide.keyboard.press("Enter")
    wide.wait_for_url(re.compile("/assistant/"))
    link = wide.get_by_role("link", name="watch it here")
    expect(link).to_be_visible()
    tab_to(wide, link)
    wide.keyboard.press("Enter")
    wide.wait_for_url(re.compile(r"/board/0/$"))
    expect_ruled(wide)

    tab_to(wide, wide.locator(".card[data-key=con-1]").get_by_role("link"))
    cite = wide.get_by_role("region", name="Ruling").locator("a.cite").first
    tab_to(wide, cite)
    wide.keyboard.press("Enter")
    expect(wide.locator(".card:target")).to_be_in_viewport()
    tab_to(wide, wide.locator(".card:target").get_by_role("link"))
    wide.keyboard.press("Enter")
    wide.wait_for_url(re.compile("#tool-"))
    expect(wide.locator("details.tool.found")).to_be_in_viewport()
    tab_to(wide, wide.locator("details.tool.found > summary"))
    wide.keyboard.press("Enter")
    expect(wide.locator("details.tool.found")).not_to_have_attribute("open", "")


@pytest.mark.parametrize(
    "name", ["agent-moderator", "agent-state", "agent-events", "shared-table", "agent-new-form"]
)
def test_every_stop_of_the_tab_key_is_seen(world: World, wide: Page, name: str) -> None:
    wide.goto(f"{world.site.url}{world.pages[name]}")
    names = []
    for _ in range(MOST_STOPS):
        wide.keyboard.press("Tab")
        stop = wide.evaluate(script("focus"))
        if stop["name"] == "body":
            break
        assert stop["visible"], f"one cannot see that {stop['name']} has the focus"
        names.append(stop["name"])
    assert len(names) > 5


def test_single_keys_go_to_places_but_not_while_one_types(world: World, wide: Page) -> None:
    wide.goto(f"{world.site.url}{world.chat}/")
    wide.keyboard.press("c")
    expect(composer(wide)).to_be_focused()
    wide.keyboard.type("2 / 1 ?")
    expect(composer(wide)).to_have_value("2 / 1 ?")
    expect(wide.get_by_role("dialog")).to_be_hidden()
    composer(wide).fill("")
    composer(wide).blur()
    wide.keyboard.press("2")
    wide.wait_for_url(re.compile("/state/$"))
    wide.keyboard.press("g")
    wide.keyboard.press("s")
    wide.wait_for_url(re.compile("/shared/$"))
    wide.keyboard.press("?")
    dialog = wide.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    wide.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_what_grows_is_a_log_and_what_is_finished_is_announced(talking: Installation, wide: Page) -> None:
    begin(wide, talking, "Hello")
    expect(wide.get_by_role("log", name="Timeline")).to_be_visible()
    expect_answered(wide)

    # Words are not read out one by one; the whole answer is, once.
    assert wide.get_by_role("log").get_attribute("aria-live") == "off"
    spoken = wide.locator("#announce")
    expect(spoken).to_have_attribute("aria-live", "polite")
    expect(spoken).not_to_be_empty()
    assert wide.locator(".text").last.inner_text()[:20] in spoken.inner_text()


def test_nothing_moves_for_who_wants_no_motion(talking: Installation, wide: Page) -> None:
    wide.emulate_media(reduced_motion="reduce")
    begin(wide, talking, TOPIC)
    expect(wide.locator("[data-status=running]").first).to_be_visible()
    assert wide.evaluate("document.getAnimations().length") == 0
    wide.get_by_role("link", name="watch it here").click()
    expect(wide.locator(".card").first).to_be_visible()
    assert wide.evaluate("document.getAnimations().length") == 0


def test_the_theme_is_chosen_and_kept(world: World, wide: Page) -> None:
    wide.emulate_media(color_scheme="light")
    wide.goto(world.site.url)
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = wide.evaluate(background)
    button = wide.get_by_role("button", name="Colour theme")
    button.click()  # light
    button.click()  # dark

    assert wide.evaluate(background) != light
    wide.reload()
    assert wide.evaluate(background) != light
    wide.get_by_role("button", name="Colour theme").click()  # the system's
    assert wide.evaluate(background) == light
