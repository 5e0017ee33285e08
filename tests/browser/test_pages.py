"""Every page: on a screen and on a phone, in light and dark, for people who see, hear or touch it."""

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser import inspecting
from tests.browser.world import World
from tests.support.browser import PHONE, WIDE, Console, screenshot

pytestmark = pytest.mark.browser

NAMES = (
    "home", "agents-found", "agent-new", "agent-new-form", "agent-chat", "agent-moderator", "agent-worker",
    "agent-state", "agent-events", "agent-board", "shared-list", "shared-table", "shared-board", "not-found",
    "login", "admin",
)  # fmt: skip
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NOT_OURS = frozenset({"admin"})
"""Django's own pages: we answer for their colours and sizes only where we changed them."""
ELSEWHERE = {"X-Forwarded-For": "10.0.0.1"}
"""Not this machine: somebody who has to sign in."""
ALEXANDRA = """
from django.contrib.auth.models import User
User.objects.create_user("alexandra.papadopoulos-mountbatten", password="correct horse")
"""

NewPage = Callable[[ViewportSize], Page]


def open_page(page: Page, world: World, name: str) -> None:
    """Open one of the pages and wait until it is live."""
    if name == "login":
        page.set_extra_http_headers(ELSEWHERE)
        page.goto(f"{world.site.url}/accounts/login/")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        return
    page.goto(f"{world.site.url}{world.pages[name]}")
    expect(page.locator("h1")).to_be_attached()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_fit_for_everybody(world: World, new_page: NewPage, console: Console, name: str) -> None:
    console.allow("404 .Not Found")
    found: dict[str, list[str]] = {}
    for size, width in ((WIDE, "wide"), (PHONE, "phone")):
        page = new_page(size)
        open_page(page, world, name)
        found[f"{width}: sticks out"] = inspecting.sticks_out(page)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            if name not in NOT_OURS:
                found[f"{width}, {scheme}: faint"] = inspecting.faint_texts(page)
            screenshot(page, f"{name}-{width}-{scheme}")
        if name not in NOT_OURS:
            found[f"{width}: structure"] = inspecting.structure(page)
            found[f"{width}: nameless"] = inspecting.nameless(page)
        if width == "phone" and name not in NOT_OURS:
            found["phone: small"] = inspecting.small_targets(page)

    assert {what: list_ for what, list_ in found.items() if list_} == {}


def test_the_pages_named_here_are_all_pages(world: World) -> None:
    assert set(NAMES) == {*world.pages, "login"}


def test_the_inspectors_see_what_is_wrong(world: World, phone: Page) -> None:
    phone.goto(f"{world.site.url}{world.pages['agent-chat']}")
    phone.evaluate(
        """() => {
          const add = (tag, styles, text) => {
            const element = document.createElement(tag);
            Object.assign(element.style, styles);
            element.textContent = text;
            document.querySelector("main").append(element);
            return element;
          };
          add("p", { color: "rgb(140, 140, 140)", background: "white" }, "grey on white");
          add("p", { color: "rgb(140, 140, 140)", background: "white", fontSize: "24px" }, "large and grey");
          add("p", { color: "black", background: "linear-gradient(white, black)" }, "on a gradient");
          add("p", { opacity: "0.5" }, "half there");
          add("p", { width: "500px" }, "wide").id = "main";
          add("h6", {}, "deep");
          add("button", { width: "12px", height: "12px", padding: "0" }, "");
        }"""
    )

    faint = [text.split('"')[1] for text in inspecting.faint_texts(phone)]
    assert faint == ["grey on white", "on a gradient", "half there"]
    assert "p#main." in inspecting.sticks_out(phone)
    assert len(inspecting.nameless(phone)) == 1
    assert any("12×12" in text for text in inspecting.small_targets(phone))
    problems = inspecting.structure(phone)
    assert "twice the id main" in problems
    assert any("h6 deep" in text for text in problems)


def test_a_long_name_does_not_widen_a_phones_page(world: World, phone: Page) -> None:
    world.site.manage("shell", "--no-imports", "-c", ALEXANDRA)
    phone.set_extra_http_headers(ELSEWHERE)
    phone.goto(world.site.url)
    phone.get_by_label("Name").fill("alexandra.papadopoulos-mountbatten")
    phone.get_by_label("Password").fill("correct horse")
    phone.get_by_role("button", name="Sign in").tap()
    expect(phone.get_by_role("heading", name="What should an agent do?")).to_be_visible()

    assert inspecting.sticks_out(phone) == []
    phone.get_by_label("Account").tap()
    expect(phone.get_by_role("button", name="Sign out")).to_be_visible()
    assert inspecting.sticks_out(phone) == []
