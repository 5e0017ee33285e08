"""What tests of the runtime get: types that are forgotten with the test, and failures that do not wait."""

from collections.abc import Iterator
from typing import Any

import pytest

from entities.api import Collection
from entities.testing import runtime
from entities.types.registry import Registry
from tests.support import killing
from tests.support.acting import Acting


@pytest.fixture
def types() -> Iterator[Registry]:
    """The registry: `@types.define("echo")` defines a type for this test alone."""
    with runtime.own_types() as registry:
        yield registry


@pytest.fixture
def actor(types: Registry) -> Acting:
    """Somebody who does what the test says; `friend` only listens."""

    @types.define("friend", state={"mine": Collection()})
    async def friend(ctx: Any, wake: Any) -> None:
        pass

    return Acting(types)


@pytest.fixture(autouse=True)
def _mortal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may let the process die in the midst of users' code."""
    killing.let_through(monkeypatch)


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    """A failing handler is tried again at once; who tests the waiting says so."""
    with runtime.configured(RETRY_SECONDS=0.002):
        yield
