"""Sites for the browser tests: one that speaks at a pace people can follow, one where all has happened."""

import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.world import World, make_world
from tests.support.browser import TIMEOUT_MS
from tests.support.processes import Installation

# Two cores are shared with the server, the worker and another browser.
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running quickstart whose offline model speaks slowly enough to be watched."""
    with Installation(tmp_path_factory.mktemp("talking"), AGENTS_OFFLINE_WORDS_PER_SECOND="30") as site:
        site.quickstart()
        yield site


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A site on which a debate and some conversations are over; tests look at it and change nothing."""
    with Installation(tmp_path_factory.mktemp("world")) as site:
        site.quickstart()
        yield make_world(site)


@pytest.fixture
def key() -> str:
    """An id for an agent of this test alone."""
    return f"t{uuid.uuid4().hex[:10]}"
