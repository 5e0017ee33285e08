"""A family may be hundreds deep and thousands wide: nothing breaks, nothing takes long, nothing sticks out.

The rows are the page's own, under other names, and come as the server's changes do.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser import inspecting
from tests.browser.acting import begin, expect_answered, wait_for
from tests.support.browser import PHONE, WIDE
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

DEEP, DEEPER, MANY = 70, 300, 3_000
COUNT = """() => {
  window.steps = { siblings: 0, walks: 0 };
  const siblings = Object.getOwnPropertyDescriptor(Element.prototype, "previousElementSibling");
  const counted = { ...siblings, get() { window.steps.siblings += 1; return siblings.get.call(this); } };
  Object.defineProperty(Element.prototype, "previousElementSibling", counted);
  const walk = Document.prototype.querySelectorAll;
  Document.prototype.querySelectorAll = function (...all) {
    window.steps.walks += 1;
    return walk.apply(this, all);
  };
}"""
"""Counts steps from sibling to sibling, and walks over the page: what grows with the square of a family."""


class Family:
    """A page with the list of agents, and a server that says more of it than there is."""

    def __init__(self, page: Page, site: Installation) -> None:
        self.page = page
        self.clients: list[WebSocketRoute] = []
        self.cursor = 0

        def opened(client: WebSocketRoute) -> None:
            self.clients.append(client)
            client.on_message(self.hear)

        page.route_web_socket("**/live/", opened)
        page.goto(site.url)
        row = page.locator(".agent-row").first
        self.slug = (row.locator("[data-line]").get_attribute("data-line") or "").rpartition("/")[2]
        self.html = row.evaluate("(element) => element.outerHTML")
        self.tree = page.locator("[data-tree]").get_attribute("id") or ""
        self.kids = row.locator(".agent-kids").get_attribute("id") or ""
        self.ident = row.get_attribute("id") or ""
        wait_for(page, "document.querySelector('[data-line]')")

    def hear(self, frame: str | bytes) -> None:
        """Answer as the server does to who follows something."""
        read = json.loads(frame)
        if read["op"] == "follow":
            self.feed = read
            answer = {"op": "following", "id": read["id"], "cursor": read["after"]}
            self.clients[-1].send(json.dumps(answer))

    def named(self, text: str, name: str) -> str:
        """A text about the first agent, of an agent with another name."""
        return text.replace(self.slug, name)

    def put(self, name: str, parent: str, order: str) -> list[Any]:
        """A new row; `parent` is a name, or empty for the top of the tree."""
        place = self.named(self.kids, parent) if parent else self.tree
        return ["put", self.named(self.ident, name), place, order, self.named(self.html, name), True]

    def say(self, changes: list[list[Any]]) -> None:
        """Send changes as one patch, and wait until they are there."""
        self.cursor += 1
        cursor = self.feed["after"][:-6].replace("0", "9") + f"{self.cursor:06d}"
        frame = {"op": "patch", "stream": self.feed["stream"], "codec": self.feed["codec"], "cursor": cursor}
        self.clients[-1].send(json.dumps({**frame, "changes": changes}))
        wait_for(self.page, f"document.querySelector('[data-feed]').dataset.after === '{cursor}'", 60_000)

    def line(self, name: str) -> Any:
        """The line of an agent."""
        return self.page.locator(f"[data-line$='/{name}']")


@pytest.fixture
def family(site: Installation, new_page: Callable[..., Page]) -> Callable[..., Family]:
    """A function that opens the list of agents, of which there is one."""
    first = new_page(WIDE)
    first.goto(site.url)
    if not first.locator(".agent-row").count():
        begin(first, site, "Hello")
        expect_answered(first)
    return lambda size: Family(new_page(size), site)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_deep_family_stays_on_the_page_and_is_walked_by_keys(
    family: Callable[..., Family], size: Any
) -> None:
    made = family(size)
    made.say([made.put(f"deep-{n}", f"deep-{n - 1}" if n else "", f"{n:015d}") for n in range(DEEP)])

    assert inspecting.sticks_out(made.page) == []
    last = made.line(f"deep-{DEEP - 1}").get_by_role("link")
    last.scroll_into_view_if_needed()
    box = last.bounding_box()
    assert box is not None
    assert box["width"] > 100
    last.focus()
    made.page.keyboard.press("ArrowUp")
    above = made.line(f"deep-{DEEP - 2}")
    expect(above.get_by_role("link")).to_be_focused()
    made.page.keyboard.press("ArrowLeft")
    expect(last).to_be_hidden()
    expect(above).to_contain_text("+1")
    made.page.keyboard.press("ArrowRight")
    made.page.keyboard.press("ArrowDown")
    expect(last).to_be_focused()
    made.line("deep-0").get_by_role("link").focus()
    made.page.keyboard.press("ArrowLeft")
    expect(made.line("deep-0")).to_contain_text(f"+{DEEP - 1}")
    # One more arrives at the very bottom: the word at the top counts it.
    made.say([made.put("deep-more", f"deep-{DEEP - 1}", "0")])
    expect(made.line("deep-0")).to_contain_text(f"+{DEEP}")


def test_a_family_deeper_than_the_parser_goes_breaks_nothing(family: Callable[..., Family]) -> None:
    """A browser puts what lies deeper than 512 elements beside its parent: see tree.js's heading."""
    made = family(WIDE)
    made.page.evaluate(
        """([html, slug, depth]) => {
          const one = (n) => html.replaceAll(slug, `deep-${n}`).split("</ul>");
          const rows = Array.from({ length: depth }, (_, n) => one(n));
          const whole = rows.map(([head]) => head).join("") + rows.map(([, tail]) => `</ul>${tail}`).join("");
          const tree = `<ul class="agent-tree" id="again" data-tree>${whole}</ul>`;
          document.querySelector("[data-tree]").outerHTML = tree;
        }""",
        [made.html, made.slug, DEEPER],
    )
    made.tree = "again"
    expect(made.page.locator("[data-line]")).to_have_count(DEEPER)

    made.say([made.put("after", "", "~")])
    expect(made.line("after").locator("time")).to_have_attribute("title", re.compile(r"\d"))
    assert inspecting.sticks_out(made.page) == []
    links = made.page.locator(".agent-link")
    expect(links).to_have_count(DEEPER + 1)
    for n in (DEEPER, DEEPER - 1, DEEPER // 2):
        links.nth(n).focus()
        made.page.keyboard.press("ArrowUp")
        expect(links.nth(n - 1)).to_be_focused()
    made.line("deep-3").get_by_role("link").focus()
    made.page.keyboard.press("ArrowLeft")
    expect(made.line("deep-4")).to_be_hidden()


@pytest.mark.parametrize(
    "order", [lambda n: n, lambda n: MANY - n, lambda n: n * 7919 % 10007], ids=["last", "first", "anywhere"]
)
def test_thousands_of_siblings_arrive_in_one_go(
    family: Callable[..., Family], order: Callable[[int], int]
) -> None:
    made = family(WIDE)
    made.say([made.put("mother", "", "0")])
    made.page.evaluate(COUNT)
    made.say([made.put(f"kid-{n}", "mother", f"{order(n):015d}") for n in range(MANY)])

    steps = made.page.evaluate("steps")
    assert steps["siblings"] <= 40 * MANY
    assert steps["walks"] < 20
    assert made.page.evaluate(
        """(many) => {
          const mother = document.querySelector("[data-line$='/mother']").closest(".agent-row");
          const orders = [...mother.querySelectorAll("li")].map((kid) => kid.dataset.order);
          return orders.length === many && orders.every((order, n) => !n || orders[n - 1] < order);
        }""",
        MANY,
    )
    assert inspecting.sticks_out(made.page) == []
    # One of them changes: that is a matter of its own row.
    line = made.line("kid-7")
    changed = line.evaluate("(element) => element.outerHTML").replace(
        'data-status="idle"', 'data-status="error"'
    )
    ident = line.get_attribute("id")
    made.say([["put", ident, "", "", changed, False]])
    expect(line.locator(".status-word")).to_have_text("failed")
    assert made.page.evaluate("steps.walks") - steps["walks"] < 20
    made.line("mother").get_by_role("link").focus()
    made.page.keyboard.press("ArrowDown")
    made.page.keyboard.press("ArrowUp")
    expect(made.line("mother").get_by_role("link")).to_be_focused()
    made.page.keyboard.press("ArrowLeft")
    expect(made.line("mother")).to_contain_text(f"+{MANY}")
