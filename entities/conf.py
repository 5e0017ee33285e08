"""Settings of this app, read lazily from `settings.ENTITIES`, with their defaults and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

DEFAULT = "default"
"""The alias of the provider that answers agents which name none."""

OFFLINE = "entities.offline.provider.OfflineProvider"
"""The provider of a site that says nothing; named here, so that pages can tell without loading it."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """A provider as the settings name it. `options` are what the backend is called with."""

    backend: str
    options: dict[str, Any] = field(default_factory=dict, repr=False)  # a key may be among them

    @classmethod
    def of(cls, alias: str, given: Any) -> ProviderSettings:
        """Read one entry. Raises `TypeError`, without repeating options: they may hold a secret."""
        backend = given.get("BACKEND") if isinstance(given, Mapping) else None
        options = given.get("OPTIONS", {}) if isinstance(given, Mapping) else {}
        if not isinstance(backend, str) or not isinstance(options, Mapping):
            raise TypeError(f"{alias!r} needs a BACKEND, a dotted path, and may have OPTIONS, a mapping")
        return cls(backend, dict(options))


class Conf:
    """Typed look-ups; a missing setting has a default, so that a checkout just runs."""

    def _get(self, name: str, default: Any) -> Any:
        return getattr(settings, "ENTITIES", {}).get(name, default)

    @property
    def providers(self) -> dict[str, ProviderSettings]:
        """What answers for a model, by alias: `{"default": {"BACKEND": dotted path, "OPTIONS": {…}}}`.

        Raises `TypeError` for anything else.
        """
        given = self._get("PROVIDERS", {DEFAULT: {"BACKEND": OFFLINE}})
        if not isinstance(given, Mapping):
            raise TypeError(f"a mapping of aliases is needed, not {type(given).__name__}")
        return {str(alias): ProviderSettings.of(str(alias), one) for alias, one in given.items()}

    @property
    def model(self) -> str:
        """The model for agents that name none."""
        return str(self._get("MODEL", "claude-sonnet-5-5"))

    @property
    def lease_seconds(self) -> float:
        """How long a worker may be silent before another takes its entities, in seconds."""
        return float(self._get("LEASE_SECONDS", 30))

    @property
    def worker_concurrency(self) -> int:
        """How many entities one worker process runs at once; most of them only wait for a model."""
        return int(self._get("WORKER_CONCURRENCY", 256))

    @property
    def worker_lock_dir(self) -> Path:
        """Where workers hold the file locks that prove them alive to others on this machine."""
        return Path(self._get("WORKER_LOCK_DIR", "var/workers"))

    @property
    def poll_seconds(self) -> float:
        """How often a worker looks for due wakes that no hint told it of, in seconds."""
        return float(self._get("POLL_SECONDS", 0.25))

    @property
    def tool_threads(self) -> int:
        """How many threads run users' blocking code at once; further calls wait in order."""
        return int(self._get("TOOL_THREADS", 64))

    @property
    def tool_timeout(self) -> float:
        """How long a tool may take that says nothing of it, in seconds."""
        return float(self._get("TOOL_TIMEOUT", 600))

    @property
    def handler_timeout(self) -> float:
        """How long a handler of a type that says nothing of it may take for one wake, in seconds."""
        return float(self._get("HANDLER_TIMEOUT", 6 * 3600))

    @property
    def max_attempts(self) -> int:
        """How often a failing handler is tried before its wake is parked."""
        return int(self._get("MAX_ATTEMPTS", 4))

    @property
    def max_deaths(self) -> int:
        """How often a wake may take its worker down before it is parked."""
        return int(self._get("MAX_DEATHS", 5 * self.max_attempts))

    @property
    def retry_seconds(self) -> float:
        """The wait before the second attempt, in seconds; it grows fourfold each time."""
        return float(self._get("RETRY_SECONDS", 1.0))

    @property
    def max_message_bytes(self) -> int:
        """The largest message that an entity takes, in bytes of JSON."""
        return int(self._get("MAX_MESSAGE_BYTES", 64 * 1024))

    @property
    def deltas_per_second(self) -> float:
        """How many text deltas a second are written for one text at the most."""
        return float(self._get("DELTAS_PER_SECOND", 20))

    @property
    def prune_seconds(self) -> float:
        """How often a worker looks for what may be pruned, in seconds; one worker does it at a time."""
        return float(self._get("PRUNE_SECONDS", 60))

    @property
    def keep_versions_seconds(self) -> float:
        """How long what is only on the way (pieces, earlier versions) is kept after its wake, in seconds."""
        return float(self._get("KEEP_VERSIONS_SECONDS", 15 * 60))

    @property
    def keep_wakes_seconds(self) -> float:
        """How long a settled wake is kept, with its payload, in seconds; its event in the log stays."""
        return float(self._get("KEEP_WAKES_SECONDS", 7 * 24 * 3600))


conf = Conf()
