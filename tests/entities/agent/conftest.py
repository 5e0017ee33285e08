"""The Messages API of the tests, and a provider that talks to it through the real SDK."""

from collections.abc import AsyncIterator, Iterator

import pytest

from entities.agent.providers.anthropic import AnthropicProvider
from tests.support.anthropic_server import KEY, AnthropicServer


@pytest.fixture
def api() -> Iterator[AnthropicServer]:
    """A running server with nothing queued."""
    with AnthropicServer() as server:
        yield server


@pytest.fixture
async def provider(api: AnthropicServer) -> AsyncIterator[AnthropicProvider]:
    """The provider under test, pointed at the server."""
    provider = AnthropicProvider(KEY, api.url)
    yield provider
    await provider.aclose()
