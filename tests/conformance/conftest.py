"""What tests of the runtime get: types that are forgotten with the test, and failures that do not wait."""

from collections.abc import Iterator

import pytest

from entities.testing import runtime
from entities.types.registry import Registry


@pytest.fixture
def types() -> Iterator[Registry]:
    """The registry: `@types.define("echo")` defines a type for this test alone."""
    with runtime.own_types() as registry:
        yield registry


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    """A failing handler is tried again at once; who tests the waiting says so."""
    with runtime.configured(RETRY_SECONDS=0.002):
        yield
