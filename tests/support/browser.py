"""A real Chromium for tests, with eyes on its console.

`wide` and `phone` are pages of a signed-out browser context each; `new_page` makes more. A test fails when
the console shows an error, a script throws, or the content security policy is violated, unless it said
beforehand that it expects so: `console.allow("WebSocket connection")`.

The browser lives as long as a test module: one for the whole session would leave an event loop running in
this thread, and every asynchronous test after it would fail.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, sync_playwright

from tests.support.processes import ROOT

SCREENSHOTS = ROOT / "var" / "screenshots"
WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
ARGUMENTS = [
    "--disable-dev-shm-usage",  # Containers give it 64 MB.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
# Milliseconds; two cores are shared with the server, the worker and another browser.
TIMEOUT_MS = 10_000


class Console:
    """What the pages of one test complained about."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    def allow(self, pattern: str) -> None:
        """Expect complaints that match this regular expression, in this test."""
        self._allowed.append(re.compile(pattern))

    def watch(self, page: Page) -> None:
        """Listen to a page."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))

    def _heard(self, message: ConsoleMessage) -> None:
        # Violations of the content security policy arrive here as errors too.
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.complaints if not any(known.search(text) for known in self._allowed)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path or not Path(path).exists():
        pytest.fail("The browser tests need Chromium: `make test` installs it, or set CHROMIUM to its path.")
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's loop runs in this thread, so Django would refuse the ORM to the test itself.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def console() -> Console:
    """The complaints of this test's pages."""
    return Console()


@pytest.fixture
def new_page(chromium: Browser, console: Console) -> Iterator[Callable[[ViewportSize], Page]]:
    """A function that opens a page of a new, signed-out browser context of a given size."""
    contexts = []

    def open_page(size: ViewportSize) -> Page:
        small = size["width"] < 600
        context = chromium.new_context(viewport=size, has_touch=small, is_mobile=small, locale="en-GB")
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        console.watch(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not console.unexpected, "the browser complained:\n" + "\n".join(console.unexpected)


@pytest.fixture
def wide(new_page: Callable[[ViewportSize], Page]) -> Page:
    """A page of a desktop's size."""
    return new_page(WIDE)


@pytest.fixture
def phone(new_page: Callable[[ViewportSize], Page]) -> Page:
    """A page of a phone's size, with touch."""
    return new_page(PHONE)


def screenshot(page: Page, name: str) -> Path:
    """Save what the page shows to var/screenshots/NAME.png, and return the path."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path
