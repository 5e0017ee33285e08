"""What pages say about agents: statuses, reasons, durations, tokens and money, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared_state.html.inline import as_datetime

STATUS_WORDS = {"error": "failed"}
"""What a page says instead of the stored word."""


def status_word(status: str) -> str:
    """A status as a page says it."""
    return STATUS_WORDS.get(status, status)


FINISH_WORDS = {
    "end_turn": "finished",
    "tool_use": "used tools",
    "max_tokens": "cut off at its token limit",
    "stop_sequence": "finished",
    "refusal": "refused",
    "pause": "paused",
    "max_steps": "stopped at its step limit",
    "terminate": "ended by a tool",
    "aborted": "stopped",
}


def finish_word(reason: str | None) -> str:
    """Why a step or a run ended, as a page says it."""
    return FINISH_WORDS.get(reason or "", (reason or "").replace("_", " "))


SIGNAL_WORDS = {
    "SIGINT": "stop",
    "SIGSTOP": "pause",
    "SIGCONT": "resume",
    "SIGTERM": "end",
    "SIGKILL": "kill",
    "SIGHUP": "reload",
}


def signal_word(name: str) -> str:
    """A lifecycle signal as a page says it."""
    return SIGNAL_WORDS.get(name, name)


def duration(milliseconds: float | None) -> str:
    """A duration, short: 340 ms, 1.2 s, 12 s, 3 min 05 s."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{round(milliseconds)} ms"
    seconds = milliseconds / 1000
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def lasted(value: Mapping[str, Any]) -> str:
    """How long something took, from its own duration or from its start and end."""
    if value.get("duration_ms") is not None:
        return duration(value["duration_ms"])
    started, ended = as_datetime(value.get("started_at")), as_datetime(value.get("ended_at"))
    return duration((ended - started).total_seconds() * 1000) if started and ended else ""


def tokens(count: int | None) -> str:
    """A number of tokens, short: 840, 1.2k, 34k, 1.1M."""
    count = count or 0
    if count < 1000:
        return str(count)
    if count < 999_500:
        thousands = count / 1000
        return f"{thousands:.1f}k" if thousands < 9.95 else f"{round(thousands)}k"
    return f"{count / 1_000_000:.1f}M"


def dollars(amount: float | None) -> str:
    """Money, with as many digits as it takes to see it."""
    if amount is None:
        return ""
    return f"${amount:.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.4f}"


def tokens_in(step: Mapping[str, Any]) -> int:
    """Everything that went into a model call, cached or not."""
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
    return sum(step.get(name) or 0 for name in names)
