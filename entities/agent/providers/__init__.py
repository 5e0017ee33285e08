"""Providers: what turns a request into the words of a model; backends chosen by settings, as Django's are.

    ENTITIES = {"PROVIDERS": {"default": {"BACKEND": "a.dotted.path.to.Class", "OPTIONS": {}}}}

A backend is a class with the methods of `entities.agent.model.Provider`, called with its options. Its module
is imported only when a run asks for it: the Anthropic SDK alone takes more than a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from entities.conf import DEFAULT, conf

if TYPE_CHECKING:
    from entities.agent.model import Provider

_made: dict[tuple[str, bytes], Provider] = {}


def get_provider(alias: str = DEFAULT) -> Provider:
    """The provider that the settings give this alias; the same object until they change.

    Raises `ImproperlyConfigured` for an alias that is not there, and for a backend that cannot be had.
    """
    chosen = conf.providers.get(alias)
    if chosen is None:
        known = ", ".join(sorted(conf.providers)) or "none"
        raise ImproperlyConfigured(f"ENTITIES['PROVIDERS'] has no {alias!r}; there are {known}.")
    key = (chosen.backend, orjson.dumps(chosen.options, option=orjson.OPT_SORT_KEYS))
    if key not in _made:
        try:
            _made[key] = import_string(chosen.backend)(**chosen.options)
        except (ImportError, TypeError) as error:
            raise ImproperlyConfigured(
                f"ENTITIES['PROVIDERS'][{alias!r}]: {chosen.backend} cannot be had: {error}."
            ) from error
    return _made[key]


async def close_providers() -> None:
    """Close the connections that this event loop's runs have opened. New runs open new ones."""
    for provider in list(_made.values()):
        await provider.aclose()
