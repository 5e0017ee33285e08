"""Settings of this app, read lazily from `settings.SHARED_STATE`, with their defaults and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings


class Conf:
    """Typed look-ups; a missing setting has a default, so that a checkout just runs."""

    def _get(self, name: str, default: Any) -> Any:
        given = getattr(settings, "SHARED_STATE", {})
        return given.get(name, default) if isinstance(given, Mapping) else default  # a check says so

    @property
    def database(self) -> str:
        """The alias in `DATABASES` of the database that holds the streams."""
        return str(self._get("DATABASE", "default"))

    @property
    def max_event_bytes(self) -> int:
        """The largest JSON value of one event, in bytes."""
        return int(self._get("MAX_EVENT_BYTES", 256 * 1024))

    @property
    def max_frame_bytes(self) -> int:
        """The largest frame that a websocket client may send, in bytes."""
        return int(self._get("MAX_FRAME_BYTES", 64 * 1024))

    @property
    def prepare_statements(self) -> bool:
        """Whether PostgreSQL keeps the writer's statements prepared; not behind a pooler by transaction."""
        return bool(self._get("PREPARE_STATEMENTS", True))

    @property
    def batch_size(self) -> int:
        """How many units the writer puts into one transaction at the most."""
        return int(self._get("BATCH_SIZE", 256))

    @property
    def site_name(self) -> str:
        """What the pages call the site."""
        return str(self._get("SITE_NAME", "Agents Site"))

    @property
    def socket_url(self) -> str:
        """The path of the pages' websocket. Without one it is `live/` below the page that is home."""
        return str(self._get("SOCKET_URL", ""))

    @property
    def socket_queue(self) -> int:
        """How many frames may wait for one socket before it is told to catch up from its cursor."""
        return int(self._get("SOCKET_QUEUE", 256))

    @property
    def poll_seconds(self) -> float:
        """How often a process looks for what a lost hint did not tell it, in seconds."""
        return float(self._get("POLL_SECONDS", 0.25))

    @property
    def catch_up_limit(self) -> int:
        """How many missed events are replayed to a socket; beyond that the page is fetched anew."""
        return int(self._get("CATCH_UP_LIMIT", 500))


conf = Conf()
