"""A real browser on pages full of hostile text: nothing runs, nothing is fetched from elsewhere."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request

from tests.site.hostile import MARK
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

FILL = """
from tests.site import world
from tests.site.hostile import KEY, TEXT
from entities.models import Wake
world.build(TEXT, KEY)
Wake.objects.filter(state="pending").delete()
"""
PATHS = (
    "/", "/debate/host/", "/worker/child/", "/debate/host/state/", "/debate/host/events/",
    "/debate/host/board/0/", "/shared/", "/shared/debate-/debate/host/",
    "/shared/debate-/debate/host/?view=board",
    "/admin/entities/entity/", "/admin/shared_state/eventrecord/", "/admin/entities/wake/",
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("hostile")) as made:
        made.manage("migrate", "--verbosity", "0")
        made.manage("shell", "--no-imports", "-c", FILL)
        made.quickstart()
        yield made


@pytest.mark.parametrize("path", PATHS)
def test_nothing_runs_and_nothing_is_fetched(path: str, hostile: Installation, wide: Page) -> None:
    elsewhere: list[str] = []

    def watch(request: Request) -> None:
        if not request.url.startswith((hostile.url, "data:")):
            elsewhere.append(request.url)

    wide.on("request", watch)
    wide.on("dialog", lambda dialog: elsewhere.append(dialog.message))
    wide.goto(hostile.url + path)
    for summary in wide.locator("main details > summary").all()[:20]:
        if summary.is_visible():
            summary.click()
    wide.wait_for_timeout(300)

    assert wide.evaluate("window.evil") is None
    assert elsewhere == []
    assert MARK in wide.content() or path == "/shared/"
    assert wide.locator("iframe, object, embed").count() == 0


def test_every_link_leads_to_where_links_may_lead(hostile: Installation, wide: Page) -> None:
    wide.goto(f"{hostile.url}/debate/host/")

    schemes = set(wide.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.protocol)"))

    assert schemes <= {"http:", "https:"}
