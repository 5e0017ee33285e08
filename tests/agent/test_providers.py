"""The settings choose the provider; it is made once, and nothing heavy is imported before it is asked for."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from entities.agent import providers
from entities.agent.providers import close_providers, get_provider, provider_label
from entities.agent.providers.anthropic import AnthropicProvider
from entities.offline.provider import OfflineProvider
from tests.agent.asking import request, response_of
from tests.support.anthropic_replies import Reply
from tests.support.anthropic_server import KEY, AnthropicServer


@pytest.fixture(autouse=True)
def _nothing_made(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(providers, "_made", {})
    return iter(())


def test_without_a_key_the_offline_model_answers(settings: Any) -> None:
    settings.ENTITIES = {"OFFLINE_WORDS_PER_SECOND": 50}
    provider = get_provider()
    assert isinstance(provider, OfflineProvider)
    assert provider.pause == pytest.approx(0.02)
    assert provider_label() == "Offline model: no key, no network"


def test_with_a_key_anthropic_answers(settings: Any) -> None:
    settings.ENTITIES = {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": "http://here:1/",
        "MODEL": "claude-opus-5-5",
    }
    provider = get_provider()
    assert isinstance(provider, AnthropicProvider)
    assert provider.base_url == "http://here:1"
    assert provider_label() == "claude-opus-5-5 (Anthropic at http://here:1/)"
    assert KEY not in provider_label()


def test_provider_is_the_same_object_until_the_settings_change(settings: Any) -> None:
    settings.ENTITIES = {"ANTHROPIC_API_KEY": KEY}
    first = get_provider()
    assert get_provider() is first
    assert get_provider("offline") is get_provider("offline")
    settings.ENTITIES = {"ANTHROPIC_API_KEY": "another"}
    assert get_provider() is not first


def test_unknown_provider_is_refused(settings: Any) -> None:
    settings.ENTITIES = {"PROVIDER": "oracle"}
    with pytest.raises(ImproperlyConfigured, match="'oracle'; choose anthropic or offline"):
        get_provider()


async def test_closed_provider_opens_again(settings: Any) -> None:
    with AnthropicServer() as api:
        settings.ENTITIES = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}
        for _ in range(2):
            api.add(Reply([]))
            await response_of(get_provider(), request())
            await close_providers()
        assert len(api.requests) == 2


def test_sdk_and_price_list_are_not_imported_with_the_package() -> None:
    program = (
        "import sys; import entities.agent.providers.anthropic, entities.offline.provider;"
        "assert not {'anthropic', 'genai_prices', 'httpx2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
