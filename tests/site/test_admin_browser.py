"""The admin in a real browser, under our content security policy: the console fixture hears complaints."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import screenshot
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

SPAWN = """
from django.contrib.auth.models import User
from entities import api
from shared_state.api import Principal
User.objects.create_user("ben", password="ben")
boss = User.objects.order_by("pk").first()
owner = Principal("user", boss.get_username())
api.spawn_now(owner, api.NewEntity("assistant", "seen", message="Hello", title="A title"))
"""


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running site with an agent."""
    folder: Path = tmp_path_factory.mktemp("admin")
    with Installation(folder) as made:
        made.quickstart()
        made.manage("shell", "--no-imports", "-c", SPAWN)
        yield made


def test_every_list_and_page_obeys_the_policy(busy: Installation, wide: Page) -> None:
    for name in ("entity", "entitytype", "wake", "subscription", "timer"):
        wide.goto(f"{busy.url}/admin/entities/{name}/")
        first = wide.locator("#result_list tbody th a").first
        if first.count():
            first.click()
            expect(wide.locator("h1")).to_have_text("View " + {"entitytype": "entity type"}.get(name, name))
    for name in ("stream", "eventrecord", "rowrecord", "grant"):
        wide.goto(f"{busy.url}/admin/shared_state/{name}/")
        first = wide.locator("#result_list tbody th a").first
        if first.count():
            first.click()
            expect(wide.locator("form .form-row").first).to_be_visible()


def test_an_action_is_done_and_told(busy: Installation, wide: Page) -> None:
    wide.goto(f"{busy.url}/admin/entities/entity/")
    wide.get_by_role("checkbox").nth(1).check()
    wide.get_by_label("Action:").select_option("wake_now")
    wide.get_by_role("button", name="Go").click()

    expect(wide.locator(".messagelist")).to_contain_text("/assistant/seen: wake requested")
    assert screenshot(wide, "admin-agents").stat().st_size > 0


def test_a_page_links_its_neighbours(busy: Installation, wide: Page) -> None:
    wide.goto(f"{busy.url}/admin/entities/entity/")
    wide.get_by_role("link", name="/assistant/seen", exact=True).click()
    wide.get_by_role("button", name="Stop (SIGINT)").click()
    expect(wide.locator(".messagelist")).to_contain_text("/assistant/seen: ")
    assert screenshot(wide, "admin-agent").stat().st_size > 0

    wide.get_by_role("link", name="/assistant/seen", exact=True).last.click()
    wide.get_by_role("link", name="events", exact=True).click()
    expect(wide.get_by_role("columnheader", name="Operation")).to_be_visible()
    assert screenshot(wide, "admin-events").stat().st_size > 0


def test_a_grant_is_given_with_a_stream_found_by_typing(busy: Installation, wide: Page) -> None:
    wide.goto(f"{busy.url}/admin/shared_state/grant/add/")
    wide.locator(".select2-selection").click()
    wide.locator(".select2-search__field").fill("assist")
    wide.locator(".select2-results__option", has_text="/assistant/seen").click()
    wide.get_by_label("Principal:").fill("user:ben")
    wide.get_by_label("Role:").select_option("view")
    wide.get_by_role("button", name="Save", exact=True).click()

    expect(wide.locator(".messagelist")).to_contain_text("user:ben: view")


def test_it_fits_a_phone(busy: Installation, phone: Page) -> None:
    phone.goto(f"{busy.url}/admin/shared_state/eventrecord/")
    phone.locator("#result_list tbody th a").first.click()

    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
