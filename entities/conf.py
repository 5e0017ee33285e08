"""Settings of this app, read lazily from `settings.ENTITIES`, with their defaults and units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings


class Conf:
    """Typed look-ups; a missing setting has a default, so that a checkout just runs."""

    def _get(self, name: str, default: Any) -> Any:
        return getattr(settings, "ENTITIES", {}).get(name, default)

    @property
    def provider(self) -> str:
        """`anthropic` or `offline`; by default the first if there is a key."""
        return str(self._get("PROVIDER", "anthropic" if self.anthropic_api_key else "offline"))

    @property
    def model(self) -> str:
        """The model for agents that name none."""
        return str(self._get("MODEL", "claude-sonnet-5-5"))

    @property
    def anthropic_api_key(self) -> str:
        """The key, or an empty string."""
        return str(self._get("ANTHROPIC_API_KEY", ""))

    @property
    def anthropic_base_url(self) -> str:
        """Another address that speaks the Messages API, or an empty string."""
        return str(self._get("ANTHROPIC_BASE_URL", ""))

    @property
    def offline_words_per_second(self) -> float:
        """How fast the offline model speaks; 0 is as fast as possible."""
        return float(self._get("OFFLINE_WORDS_PER_SECOND", 25))

    @property
    def lease_seconds(self) -> float:
        """How long a worker may be silent before another takes its entities, in seconds."""
        return float(self._get("LEASE_SECONDS", 30))

    @property
    def worker_concurrency(self) -> int:
        """How many entities one worker process runs at once."""
        return int(self._get("WORKER_CONCURRENCY", 32))

    @property
    def worker_lock_dir(self) -> Path:
        """Where workers hold the file locks that prove them alive to others on this machine."""
        return Path(self._get("WORKER_LOCK_DIR", "var/workers"))

    @property
    def poll_seconds(self) -> float:
        """How often a worker looks for due wakes that no hint told it of, in seconds."""
        return float(self._get("POLL_SECONDS", 1.0))

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


conf = Conf()
