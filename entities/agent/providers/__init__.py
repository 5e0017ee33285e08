"""Providers: what turns a request into the words of a model.

`get_provider` chooses one by the settings and keeps it for the life of the process. The providers' modules
are imported only when one is asked for: the Anthropic SDK alone takes more than a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from entities.conf import conf

if TYPE_CHECKING:
    from entities.agent.model import Provider

OFFLINE = "entities.offline.provider.OfflineProvider"

_made: dict[tuple[Any, ...], Provider] = {}


def get_provider(name: str | None = None) -> Provider:
    """The provider of that name, or the one that the settings choose; the same object every time.

    Raises ImproperlyConfigured for a name that is unknown.
    """
    name = name or conf.provider
    key: tuple[Any, ...] = (name,)
    if name == "anthropic":
        key = (name, conf.anthropic_api_key, conf.anthropic_base_url)
    elif name == "offline":
        key = (name, conf.offline_words_per_second)
    else:
        raise ImproperlyConfigured(f"There is no model provider {name!r}; choose anthropic or offline.")
    if key not in _made:
        _made[key] = _make(*key)
    return _made[key]


async def close_providers() -> None:
    """Close the connections that this event loop's runs have opened. New runs open new ones."""
    for provider in list(_made.values()):
        await provider.aclose()


def provider_label() -> str:
    """What pages say of where answers come from, for people."""
    if conf.provider == "offline":
        return "Offline model: no key, no network"
    where = f" at {conf.anthropic_base_url}" if conf.anthropic_base_url else ""
    return f"{conf.model} (Anthropic{where})"


def _make(name: str, *options: Any) -> Provider:
    if name == "anthropic":
        from entities.agent.providers.anthropic import AnthropicProvider

        return AnthropicProvider(*options)
    made: Provider = import_string(OFFLINE)(*options)
    return made
