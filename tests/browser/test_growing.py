"""A text that is watched while it grows: at every moment the page is the one that a reload shows."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import forging
from tests.browser.acting import begin, expect_answered, normal
from tests.support.processes import Installation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

KEY = "1.0-s1-b7"
PARTS = (
    "# Bees 🐝\n\nThey **dance**, and `say` by it where flowers are. See [this].\n\n"
    "- near: a *round* dance\n- far",
    ": a waggle\n  - inner, of it\n  - and another\n- farther\n\nA paragraph.\n\n1. one\n\n2. two\n\n3. thr",
    "ee\n\n```python\ndef dance(far: bool) -> str:\n    return '🐝' if far",
    " else ''\n```\nAfter it.\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n| 5",
    " | 6 |\n| 7 | 8 |\n\n> A quote\n> goes on\n> > and deeper\n\n***\n\n"
    + "".join(f"- item {n} of a list that is longer\n" for n in range(60)),
    "\nThe end, it is here.\n\n[this]: https://example.org/bees\n\nLast wo",
)
SHOWN = f".text[id$='{KEY}']"


def pieces(start: int, text: str) -> list[tuple[str, str, dict[str, Any], str]]:
    """A part of the text as deltas of a few characters each."""
    found = []
    for place in range(0, len(text), 11):
        value = {"text_id": KEY, "run_id": "1.0", "delta": text[place : place + 11], "start": start + place}
        found.append(("text_delta", f"{KEY}-d{start + place}", value | {"key": ""}, "insert"))
    return found


def same(page: Page, other: Page) -> bool:
    other.reload()
    expect(other.locator(SHOWN)).to_be_attached()
    shown = normal(other, SHOWN)
    wait_until(lambda: normal(page, SHOWN) == shown, "the page to show what a reload does", 10)
    return len(shown) > 5


def test_a_page_that_watched_shows_what_a_reload_does(talking: Installation, wide: Page) -> None:
    url = begin(wide, talking, "Hello")
    expect_answered(wide)
    other = wide.context.new_page()
    other.goto(f"{talking.url}{url}/")
    row = {"key": KEY, "run_id": "1.0", "status": "streaming"}
    forging.append_all(talking, url, [("text", KEY, row, "insert")])
    expect(wide.locator(SHOWN)).to_be_attached()
    wide.evaluate("window.watched = true")

    start, middle = 0, wide.context.new_page()
    for number, part in enumerate(PARTS):
        forging.append_all(talking, url, pieces(start, part))
        start += len(part)
        assert same(wide, other)
        if number == 0:
            wide.locator(SHOWN).locator("h1").evaluate("(element) => { element.seen = true; }")
            middle.goto(f"{talking.url}{url}/")
    whole = {**row, "status": "completed", "content": "".join(PARTS)}
    forging.append_all(talking, url, [("text", KEY, whole, "update")])
    for page in (wide, middle):
        expect(page.locator(SHOWN)).to_have_attribute("data-finished", "")
        assert same(page, other)

    # Nothing was fetched anew, and what was whole stayed in its place.
    assert wide.evaluate("window.watched")
    assert wide.locator(SHOWN).locator("h1").evaluate("(element) => element.seen")
    expect(wide.locator(SHOWN).get_by_role("link", name="this")).to_be_attached()
    expect(wide.locator(SHOWN).locator("li")).to_have_count(60 + 5 + 3)


def test_a_page_that_lacks_a_block_is_fetched_anew(talking: Installation, wide: Page) -> None:
    url = begin(wide, talking, "Hello")
    expect_answered(wide)
    row = {"key": KEY, "run_id": "1.0", "status": "streaming"}
    forging.append_all(talking, url, [("text", KEY, row, "insert"), *pieces(0, PARTS[0])])
    expect(wide.locator(SHOWN).locator("p")).to_contain_text("flowers")
    wide.locator(SHOWN).locator("h1").evaluate("(element) => element.remove()")

    forging.append_all(talking, url, pieces(len(PARTS[0]), PARTS[1]))

    other = wide.context.new_page()
    other.goto(f"{talking.url}{url}/")
    assert same(wide, other)
    expect(wide.locator(SHOWN).locator("h1")).to_have_text("Bees 🐝")
