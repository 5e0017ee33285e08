"""Structured logging: one line per fact, readable on a terminal and JSON for machines; never a secret.

Both `structlog.get_logger()` and the standard library's loggers end up in the same formatter, so Django,
Channels and our own modules look alike.
"""

from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.types import Processor

HIDDEN = "[hidden]"
# Matched inside the lower-cased key: an event may carry a whole header or settings mapping.
SECRET_WORDS = (
    "secret",
    "password",
    "passwd",
    "api_key",
    "api-key",
    "authorization",
    "cookie",
    "csrf",
    "token",
)
# Counts of model tokens are figures that we want to read.
PUBLIC_KEYS = frozenset(
    {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "max_tokens", "tokens"}
)


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose key sounds like a secret, at any depth; a structlog processor."""
    for key, value in event.items():
        event[key] = _hidden(str(key), value)
    return event


def _hidden(key: str, value: Any) -> Any:
    lowered = key.lower()
    if lowered not in PUBLIC_KEYS and any(word in lowered for word in SECRET_WORDS):
        return HIDDEN
    if isinstance(value, dict):
        return {inner: _hidden(str(inner), item) for inner, item in value.items()}
    return value


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
    hide_secrets,
]


def configure_structlog() -> None:
    """Send structlog's own loggers through the standard library, where the one formatter is."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logging_config(level: str, style: str) -> dict[str, Any]:
    """Django's LOGGING setting; `style` is `console` or `json`, everything goes to standard error."""
    renderer: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if style == "json"
        # Plain tracebacks: the pretty ones print local variables, and with them keys and messages.
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django attaches handlers of its own to these two; ours is the root's.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.server": {"handlers": [], "level": "INFO", "propagate": True},
            # Every scanner on the internet sends foreign Host headers; the answer is 400 and no traceback.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "daphne": {"level": "WARNING"},
            "asyncio": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
        },
    }
