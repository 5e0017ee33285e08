"""Typed reading of environment variables that fails loudly.

A setting that is present but unreadable stops the process with a message naming the variable, what it
said and what it may say: a typo must never quietly become a default. An empty variable counts as absent,
because that is how shells and container files write "not set".
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def text(name: str, default: str = "") -> str:
    """The variable without surrounding blanks, or the default when it is absent or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    """A yes or no. Raises ImproperlyConfigured for anything that is neither."""
    value = text(name).lower()
    if not value:
        return default
    if value in TRUE | FALSE:
        return value in TRUE
    allowed = ", ".join(sorted(TRUE) + sorted(FALSE))
    raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of: {allowed}.")


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    """A whole number of at least `minimum`. Raises ImproperlyConfigured otherwise."""
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number.") from None
    if number < minimum:
        raise ImproperlyConfigured(f"{name} is {number}; it must be at least {minimum}.")
    return number


def number(name: str, default: float, *, minimum: float = 0.0) -> float:
    """A finite number of at least `minimum`. Raises ImproperlyConfigured otherwise."""
    value = text(name)
    if not value:
        return default
    try:
        parsed = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a number.") from None
    if not minimum <= parsed < float("inf"):
        raise ImproperlyConfigured(f"{name} is {value}; it must be finite and at least {minimum}.")
    return parsed


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of a few words. Raises ImproperlyConfigured for any other."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of: {', '.join(allowed)}.")
    return value


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """A comma-separated list; blanks around the words and empty words are dropped."""
    found = [word.strip() for word in text(name).split(",")]
    return [word for word in found if word] or list(default)


def secret(name: str) -> str:
    """A secret from NAME, or from the file that NAME_FILE points to; empty when neither is set.

    Raises ImproperlyConfigured when both are set, or when the file is unreadable or empty. The value itself
    is never part of a message.
    """
    value, path = text(name), text(f"{name}_FILE")
    if value and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; set one of them.")
    if not path:
        return value
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {error.strerror}.") from error
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE: {path} is empty.")
    return value


def url(name: str, schemes: tuple[str, ...], default: str = "") -> str:
    """A URL with one of the given schemes. Raises ImproperlyConfigured otherwise.

    Only the scheme is named in the message: the rest of a database URL holds its password.
    """
    value = text(name, default)
    if value and urlsplit(value).scheme not in schemes:
        found = urlsplit(value).scheme or "none"
        raise ImproperlyConfigured(
            f"{name} has the scheme {found!r}; it must begin with one of: "
            + ", ".join(f"{scheme}://" for scheme in schemes)
        )
    return value
