"""The faults of the Anthropic SDK and its transport, told as ours: what to do about it, and when to retry."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from django.utils import timezone

from entities.agent.model import (
    ModelError,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
    WindowFault,
    bounded_wait,
)

NO_KEY = (
    "There is no key for the Anthropic API. Set ANTHROPIC_API_KEY and start again; "
    "without one, the offline model can answer (AGENTS_PROVIDER=offline)."
)

HINTS = {
    401: "Check ANTHROPIC_API_KEY.",
    402: "Check the account's credit.",
    403: "The key may not do this.",
    404: "Check the model's name.",
    413: "The request is too large; give the model less to read.",
}

TRY_AGAIN = frozenset({408, 409, 429})

LASTING_TYPES = frozenset(
    {"invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error"}
)
"""Types of an `error` event in mid-stream, where the status is still 200, that waiting does not mend."""

TOO_LONG = re.compile(
    r"too (long|large|many (input )?tokens)|context (length|window|limit|size)|maximum (context|prompt|input)"
    r"|exceeds? .{0,60}(tokens|bytes|context|length)",
    re.IGNORECASE,
)
ABOUT_SETTINGS = re.compile(
    r"^(model|max_tokens|thinking|tools|tool_choice|system|output_config|temperature|top_[pk]|stream|metadata)\b"
    r"|max_tokens.{0,40}(must|should|maximum)|thinking\.type|\beffort\b|input_schema|not support"
    r"|api.key|credit|billing|balance|quota|\bspend|usage limit|workspace|organization",
    re.IGNORECASE,
)
"""Of a 400: no shorter conversation would mend it."""


@contextmanager
def translated(secret: str) -> Iterator[None]:
    """Turn what the SDK raises into a ModelError. `secret` is cut out of every message."""
    import anthropic
    import httpx2

    try:
        yield
    except anthropic.APITimeoutError as error:
        raise ModelTimeout("The model's server did not answer in time.") from error
    except anthropic.APIStatusError as error:
        raise from_status(error, secret) from error
    except anthropic.APIConnectionError as error:
        detail = str(error.__cause__ or error)
        raise ModelUnavailable(f"No connection to the model's server: {detail}") from error
    except anthropic.AnthropicError as error:
        raise ModelError(_clean(str(error), secret)) from error
    except httpx2.TimeoutException as error:
        # Once the stream is open, the SDK lets the transport's own errors through.
        raise ModelTimeout("The model fell silent in the middle of its answer.") from error
    except (httpx2.TransportError, httpx2.StreamError) as error:
        raise ModelUnavailable("The connection broke in the middle of the answer.") from error


def from_status(error: Any, secret: str) -> ModelError:
    """The ModelError for an HTTP status, or for the `error` event of a stream."""
    status, kind = int(error.status_code), str(error.type or "")
    detail = error.api_message or error.message
    said = f"{detail} ({status if status >= 400 else 'in mid-stream'}{' ' + kind if kind else ''})"
    if error.request_id:
        said += f" [{error.request_id}]"
    said = _clean(said, secret)
    if status >= 500 or status in TRY_AGAIN or (status < 400 and kind not in LASTING_TYPES):
        wait = retry_after(error.response.headers)
        return ModelUnavailable(f"The model's server asks us to wait: {said}", retry_after=wait)
    hint = HINTS.get(status, "")
    message = f"The model's server refused the request: {said}{' ' + hint if hint else ''}"
    return ModelRefused(message, window=_window_fault(status, detail))


def _window_fault(status: int, detail: str) -> WindowFault:
    """Whether it is about the conversation, which can be cut, or about what only people can mend."""
    if status == 413 or (status == 400 and TOO_LONG.search(detail)):
        return "too long"
    return "refused" if status in (400, 422) and not ABOUT_SETTINGS.search(detail) else ""


def is_stale_thinking(error: Any) -> bool:
    """Whether a 400 is about the reasoning that we sent back: bound to another conversation, for instance.

    A retry without it helps, since it is never needed for an answer, only good for it.
    """
    said = str(error.api_message or error.message).lower()
    about_thinking = "thinking" in said and ("signature" in said or "bound to" in said)
    return about_thinking or "block_binding" in said or "thinking-binding" in said


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The wait that the server asked for, in seconds, if it gave a number or a date; an hour at the most."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        said = headers.get(name, "").strip()
        try:
            wait = float(said) / unit
        except ValueError:
            wait = _until(said)
        if not math.isnan(wait):
            return bounded_wait(wait)
    return None


def _until(date: str) -> float:
    """Seconds until an HTTP date; not a number if it is none."""
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - timezone.now()).total_seconds()


def _clean(text: str, secret: str) -> str:
    return text.replace(secret, "[key]") if secret else text
