"""The list of agents: a live tree, searched by title."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.acting import wait_for
from tests.browser.world import CODE, World, begin
from tests.support.client import Client
from tests.support.processes import Installation

pytestmark = pytest.mark.browser


@pytest.fixture
def person(talking: Installation) -> Client:
    """The same person in another browser."""
    found = Client(talking.url)
    found.get("/")
    return found


def line(page: Page, url: str) -> Locator:
    """An agent's line in the tree."""
    return page.locator(f"[data-line='{url}']")


def test_a_new_agent_appears_and_its_status_and_title_move(
    talking: Installation, wide: Page, person: Client, key: str
) -> None:
    wide.goto(talking.url)
    begin(person, key, CODE)

    mine = line(wide, f"/assistant/{key}")
    expect(mine).to_be_visible()
    expect(wide.locator(".agent-tree > li").first.locator("[data-line]")).to_have_attribute(
        "data-line", f"/assistant/{key}"
    )
    expect(mine.locator(".status-word")).to_have_text("running")
    running = dot(mine)
    expect(mine.locator(".status-word")).to_have_text("idle")
    expect(mine.locator(".agent-title")).to_have_text(CODE)
    expect(mine.locator("time")).to_have_text(re.compile("now|s ago"))
    assert dot(mine) != running


def dot(line: Locator) -> str:
    return str(line.locator(".dot").evaluate("(element) => getComputedStyle(element).backgroundColor"))


def test_children_appear_below_their_parent(
    talking: Installation, wide: Page, person: Client, key: str
) -> None:
    wide.goto(talking.url)
    begin(person, key, "Ask a worker to list what makes a good question")

    family = wide.locator(".agent-row", has=line(wide, f"/assistant/{key}")).last
    child = wide.locator(f"[data-line^='/worker/{key}-']")
    expect(child).to_be_visible()
    row = wide.locator(".agent-row", has=child).first
    expect(row.locator(":scope > .agent-row-line [data-line]")).to_have_attribute(
        "data-line", f"/assistant/{key}"
    )
    expect(family).to_be_visible()
    expect(child.locator(".status-word")).to_have_text("idle")


def test_siblings_of_one_transaction_stand_in_the_order_of_their_making(world: World, wide: Page) -> None:
    wide.goto(world.site.url)
    sides = wide.locator(f"[data-line^='/worker/{world.debate.removeprefix('/debate/')}-'] .agent-title")
    expect(sides).to_have_text([re.compile("^Pro"), re.compile("^Con")])

    wide.goto(f"{world.site.url}{world.debate}/")
    expect(wide.locator(".family").locator("[data-type=worker] .agent-title")).to_have_text(
        [re.compile("^Pro"), re.compile("^Con")]
    )
    wide.goto(f"{world.site.url}{world.pages['agent-board']}")
    expect(wide.locator(".participant:not(.participant-host) a")).to_have_text(
        [re.compile("^Pro"), re.compile("^Con")]
    )


def test_the_tree_folds_and_stays_folded(world: World, wide: Page) -> None:
    wide.goto(world.site.url)
    workers = wide.locator("[data-line^='/worker/']")
    expect(workers).to_have_count(2)
    fold = wide.get_by_role("button", name="Fold debater", exact=True)
    expect(fold).to_have_attribute("aria-expanded", "true")

    fold.click()

    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(workers.first).to_be_hidden()
    expect(line(wide, world.debater)).to_contain_text("debate +1, worker +2")
    wide.reload()
    expect(workers.first).to_be_hidden()
    fold.click()
    expect(workers.first).to_be_visible()


def test_arrow_keys_walk_and_fold_the_tree(world: World, wide: Page) -> None:
    wide.goto(world.site.url)
    top = line(wide, world.debater).get_by_role("link")
    top.focus()
    wide.keyboard.press("ArrowDown")
    expect(line(wide, world.debate).get_by_role("link")).to_be_focused()
    wide.keyboard.press("ArrowUp")
    expect(top).to_be_focused()
    wide.keyboard.press("ArrowLeft")
    expect(line(wide, world.debate)).to_be_hidden()
    wide.keyboard.press("ArrowRight")
    expect(line(wide, world.debate)).to_be_visible()
    wide.keyboard.press("ArrowDown")
    wide.keyboard.press("Enter")
    wide.wait_for_url(re.compile(f"{world.debate}/$"))


def test_agents_are_found_by_title(world: World, wide: Page) -> None:
    wide.goto(world.site.url)
    wide.keyboard.press("/")
    field = wide.get_by_role("searchbox", name="Search agents by title")
    expect(field).to_be_focused()
    wide.keyboard.type("my own agent")

    expect(wide.get_by_role("status").filter(has_text="1 found")).to_be_visible()
    expect(wide.locator("[data-line]")).to_have_count(1)
    expect(line(wide, world.chat)).to_be_visible()
    wide.wait_for_url(re.compile(r"\?q=my"))
    wide.reload()
    expect(field).to_have_value("my own agent")
    expect(wide.locator("[data-line]")).to_have_count(1)
    field.fill("no such thing")
    expect(wide.get_by_text("No agent has that in its title")).to_be_visible()
    wide.get_by_role("link", name="Show all").click()
    expect(line(wide, world.debater)).to_be_visible()
    wait_for(wide, "!location.search")


def test_the_family_beside_an_agent_is_live_and_links_home(world: World, wide: Page) -> None:
    wide.goto(f"{world.site.url}{world.pages['agent-worker']}")

    family = wide.get_by_role("complementary", name="About this agent")
    expect(family.locator("[data-line]")).to_have_count(4)
    expect(family.locator("[data-here]")).to_contain_text("Pro:")
    wide.get_by_role("navigation", name="Where you are").get_by_role("link").last.click()
    wide.wait_for_url(re.compile(f"{world.debate}/$"))
