"""The settings choose the provider; it is made once, and nothing heavy is imported before it is asked for."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from entities.agent import providers
from entities.agent.providers import close_providers, get_provider
from entities.agent.providers.anthropic import AnthropicProvider
from entities.conf import OFFLINE, conf
from entities.offline.provider import OfflineProvider
from entities.testing.runtime import anthropic, offline
from tests.entities.agent.asking import request, response_of
from tests.support.anthropic_replies import Reply
from tests.support.anthropic_server import KEY, AnthropicServer


@pytest.fixture(autouse=True)
def _nothing_made(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(providers, "_made", {})
    return iter(())


def test_without_a_key_the_offline_model_answers(settings: Any) -> None:
    settings.ENTITIES = {"PROVIDERS": offline(50)}
    provider = get_provider()
    assert isinstance(provider, OfflineProvider)
    assert provider.pause == pytest.approx(0.02)


def test_with_a_key_anthropic_answers(settings: Any) -> None:
    settings.ENTITIES = {"PROVIDERS": anthropic(KEY, "http://here:1/")}
    provider = get_provider()
    assert isinstance(provider, AnthropicProvider)
    assert provider.base_url == "http://here:1"
    assert KEY not in repr(conf.providers)


def test_provider_is_the_same_object_until_the_settings_change(settings: Any) -> None:
    settings.ENTITIES = {"PROVIDERS": anthropic(KEY) | {"other": offline(0)["default"]}}
    first, other = get_provider(), get_provider("other")
    assert get_provider() is first
    assert get_provider("other") is other is not first
    settings.ENTITIES = {"PROVIDERS": anthropic("another")}
    assert get_provider() is not first


def test_unknown_provider_is_refused(settings: Any) -> None:
    settings.ENTITIES = {"PROVIDERS": offline()}
    with pytest.raises(ImproperlyConfigured, match="has no 'oracle'; there are default"):
        get_provider("oracle")


@pytest.mark.parametrize(
    "given", [{"BACKEND": "nowhere.Model"}, {"BACKEND": OFFLINE, "OPTIONS": {"pace": 1}}]
)
def test_a_backend_that_cannot_be_had_is_named(given: dict[str, Any], settings: Any) -> None:
    settings.ENTITIES = {"PROVIDERS": {"default": given}}
    with pytest.raises(ImproperlyConfigured, match=f"'default'.*{given['BACKEND']} cannot be had"):
        get_provider()


async def test_closed_provider_opens_again(settings: Any) -> None:
    with AnthropicServer() as api:
        settings.ENTITIES = {"PROVIDERS": anthropic(KEY, api.url)}
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
