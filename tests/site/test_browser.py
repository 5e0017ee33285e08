"""The browser fixtures see what they are for, and the admin obeys our content security policy."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Console, screenshot
from tests.support.processes import Installation

pytestmark = pytest.mark.browser


def test_the_admin_works_under_our_policy(site: Installation, wide: Page) -> None:
    wide.goto(f"{site.url}/admin/auth/user/")
    wide.locator("#result_list tbody th a").first.click()

    expect(wide.get_by_label("Username:")).to_be_visible()


def test_it_shows_a_phone(site: Installation, phone: Page) -> None:
    phone.goto(f"{site.url}/admin/")

    assert phone.evaluate("[innerWidth, navigator.maxTouchPoints > 0]") == [390, True]
    assert screenshot(phone, "admin-phone").stat().st_size > 0


def test_it_hears_what_the_policy_blocks(site: Installation, wide: Page, console: Console) -> None:
    console.allow("Content Security Policy")
    wide.goto(f"{site.url}/admin/")

    wide.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.x = 1'}))"
    )

    assert wide.evaluate("window.x") is None
    assert any("Content Security Policy" in complaint for complaint in console.complaints)
    assert console.unexpected == []


def test_it_hears_what_a_script_throws(site: Installation, wide: Page, console: Console) -> None:
    console.allow("as ordered")
    wide.goto(f"{site.url}/admin/")

    with wide.expect_event("pageerror"):
        wide.evaluate("setTimeout(() => { throw new Error('as ordered') })")

    assert any("as ordered" in complaint for complaint in console.complaints)


def test_it_signs_in_with_a_name_and_a_password_in_production(
    installation: Installation, wide: Page, phone: Page
) -> None:
    installation.prepare(ada="correct horse")
    installation.serve()
    for page, name in ((wide, "wide"), (phone, "phone")):
        page.goto(installation.url)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("wrong")
        screenshot(page, f"sign-in-{name}")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("do not match")

        page.get_by_label("Password").fill("correct horse")
        page.get_by_role("button", name="Sign in").click()

        expect(page.get_by_role("heading", name="Sign in")).to_have_count(0)
