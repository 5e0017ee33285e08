"""Texts that others wrote, made fit to be kept: a run must not fail over what a model or a tool said."""

from __future__ import annotations

MAX_TEXT = 120_000
"""How many bytes of what a model says in one go are kept. JSON may double them, and an event has a limit."""

MAX_COMPLAINT = 4_000
"""How many bytes of an error's message are kept. A longer one is cut: it must not be the next error."""


def storable(text: str) -> str:
    """The same without what no database keeps: a NUL, half a pair of surrogates.

    >>> storable("a\\x00b")
    'a\\ufffdb'
    """
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def shortened(text: str, most: int) -> str:
    """The text, or as much of it as `most` bytes hold, and a note that it was cut.

    >>> shortened("four words are here", 10)
    'four words [Cut here: 10 of 19 characters.]'
    """
    kept = text.encode("utf-8", "replace")[:most].decode(errors="ignore")
    if len(kept) == len(text):
        return text
    return f"{kept} [Cut here: {len(kept):,} of {len(text):,} characters.]"
