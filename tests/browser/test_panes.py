"""Panes live by themselves: one that fails stops no other, and one may be on the page twice."""

import json
import re
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import begin, composer, expect_answered, script, send, wait_for
from tests.browser.world import begin as begin_over_http
from tests.support.browser import Console
from tests.support.client import Client
from tests.support.processes import Installation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

MODULES = [
    "core/connection", "core/keys", "core/times", "panes/agents", "panes/widgets", "panes/tree",
    "panes/timeline", "panes/board", "panes/tables", "panes/events",
]  # fmt: skip
AT_ONCE = "throw new Error('broken at once');"
AT_MOUNT = """
import { pane } from "../core/mount.js";
pane("broken", "body, [data-region], [data-tree]", () => { throw new Error("broken at a root"); });
"""
AT_CHANGES = """
import { parts } from "../core/mount.js";
import { on } from "../core/patch.js";
const fail = () => { throw new Error("broken at a change"); };
for (const kind of ["before", "put", "text", "drop", "after"]) on(kind, fail);
parts.add(fail);
"""


def replace(page: Page, module: str, text: str) -> None:
    """Let the page get another text for one of its modules, whose name may carry a hash."""
    name = re.compile(rf"/js/{module}(\.\w+)?\.js$")
    page.route(name, lambda route: route.fulfill(body=text, content_type="text/javascript"))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_throws_at_once_stops_no_other(
    site: Installation, wide: Page, console: Console, module: str
) -> None:
    console.allow("broken at once")
    begin(wide, site, "Hello")
    expect_answered(wide)
    replace(wide, module, AT_ONCE)
    wide.reload()
    send(wide, "Tell me a joke")

    expect_answered(wide, runs=2)
    expect(wide.locator(".message")).to_have_count(2)
    expect(wide.locator(".message-pending")).to_have_count(0)
    assert any("broken at once" in text for text in console.complaints)


def test_without_the_composer_what_others_send_still_arrives(
    site: Installation, wide: Page, console: Console
) -> None:
    console.allow("broken at once")
    url = begin(wide, site, "Hello")
    expect_answered(wide)
    other = wide.context.new_page()
    other.goto(f"{site.url}{url}/")
    replace(wide, "panes/composer", AT_ONCE)
    wide.reload()
    send(other, "Tell me a joke")

    expect_answered(wide, runs=2)
    wide.keyboard.press("c")
    expect(composer(wide)).to_be_focused()
    assert any("broken at once" in text for text in console.complaints)


@pytest.mark.parametrize("text", [AT_MOUNT, AT_CHANGES])
def test_a_module_that_throws_later_stops_no_other(
    site: Installation, wide: Page, console: Console, text: str
) -> None:
    console.allow("broken at")
    # The first of the panes: all that matters here comes after it.
    replace(wide, "core/connection", text)
    begin(wide, site, "Hello")
    expect_answered(wide)
    send(wide, "Tell me a joke")
    expect_answered(wide, runs=2)
    expect(wide.locator(".message")).to_have_count(2)
    assert any("broken at" in text for text in console.complaints)

    # What is swapped in is found by the others, too.
    wide.goto(site.url)
    wide.get_by_role("searchbox").fill("Hello")
    expect(wide.get_by_role("status").filter(has_text="found")).to_be_visible()
    expect(wide.locator("[data-tree] time").first).to_have_attribute("title", re.compile(r"\d"))
    wide.locator("[data-tree] .agent-link").first.focus()
    assert wide.evaluate(
        "!document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'ArrowUp', bubbles: true, cancelable: true}))"
    ), "the tree did not take the key"


# -- twice


def also(page: Page, address: str, name: str) -> None:
    """Put the content of another page of the site into this one."""
    page.evaluate(f"({script('also')})({json.dumps(address)}, {json.dumps(name)})")


def test_two_agents_on_one_page_have_their_own_messages_each(
    site: Installation, wide: Page, key: str
) -> None:
    person = Client(site.url)
    person.get("/")
    begin_over_http(person, key, "How do I write my own agent?")
    first = begin(wide, site, "Hello")
    expect_answered(wide)
    also(wide, f"/assistant/{key}/", "second")
    one, two = wide.locator(".agent-body"), wide.locator("#second")
    expect(two.locator(".run-foot.run-completed")).to_have_count(1)

    two.get_by_role("textbox", name="Message to").fill("Tell me a joke")
    two.get_by_role("textbox", name="Message to").press("Enter")

    expect(two.locator(".message-body")).to_have_text([re.compile("How do I"), "Tell me a joke"])
    expect(two.locator(".run-foot.run-completed")).to_have_count(2)
    wait_for(
        wide,
        "(({scrollHeight, clientHeight, scrollTop}) => scrollHeight - clientHeight - scrollTop <= 40)"
        "(document.getElementById('second'))",
    )
    expect(one.locator(".message-body")).to_have_text(["Hello"])
    one.get_by_role("textbox", name="Message to").fill("What time is it?")
    one.get_by_role("textbox", name="Message to").press("Enter")
    expect(one.locator(".message-body")).to_have_text(["Hello", "What time is it?"])
    expect(one.locator(".run-foot.run-completed")).to_have_count(2)
    expect(two.locator(".message")).to_have_count(2)
    expect(wide.locator(".message-pending")).to_have_count(0)
    assert messages(person, first) == ["Hello", "What time is it?"]
    assert messages(person, f"/assistant/{key}") == ["How do I write my own agent?", "Tell me a joke"]


def messages(person: Client, url: str) -> list[str]:
    """What an agent was told, by its log."""
    _, page = person.get(f"{url}/")
    return [text for text in re.findall(r'class="message-body plain">\s*([^<]*?)\s*<', page) if text]


def test_two_boards_on_one_page_have_their_own_cards_each(
    talking: Installation, wide: Page, key: str
) -> None:
    person = Client(talking.url)
    person.get("/")
    boards = [f"/debate/{key}{letter}-debate-1/board/0/" for letter in "ab"]
    begin_over_http(person, f"{key}a", "Debate: should cities ban private cars?")
    begin_over_http(person, f"{key}b", "Debate: is tea better than coffee?")
    for board in boards:
        wait_until(partial(is_there, person, board), "the debate", 30)
    wide.goto(f"{talking.url}{boards[0]}")
    also(wide, boards[1], "second")
    one, two = wide.locator(".agent-body"), wide.locator("#second")

    for pane, topic in ((one, "cars"), (two, "tea")):
        expect(pane.locator(".phases")).to_have_attribute("data-phase", "done", timeout=60_000)
        expect(pane.locator(".board-topic")).to_contain_text(topic)
        expect(pane.locator(".board .card:not(.draft)")).to_have_count(4)
        expect(pane.locator(".draft")).to_have_count(0)
        expect(pane.locator(".card.cited").first).to_be_visible()
        expect(pane.locator("a.cite-dead")).to_have_count(0)


def is_there(person: Client, address: str) -> bool:
    """Whether a page can be had."""
    return person.get(address)[0] == 200
