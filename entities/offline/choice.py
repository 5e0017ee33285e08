"""Choices that depend on what they are made from alone: no chance, no clock, the same for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def pick(options: Sequence[T], *parts: object) -> T:
    """One of the options, the same one for the same parts for ever."""
    return options[_number(*parts) % len(options)]


def shuffled(options: Sequence[T], *parts: object) -> list[T]:
    """The options in an order that depends on the parts alone."""
    ranked = sorted(range(len(options)), key=lambda index: _number(*parts, index))
    return [options[index] for index in ranked]


def digest(*parts: object) -> str:
    """Hexadecimal digits that depend on the parts alone."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def _number(*parts: object) -> int:
    return int(digest(*parts)[:12], 16)
