"""Everything that `shared_state` raises, as one tree. A class's docstring is its default message.

SharedStateError
├── StreamNotFound            no such stream (or not for this principal)
├── StreamExists              the path is taken
├── StreamClosed              the stream takes no more events
├── StaleEpoch                the writer lost its lease; what it wrote was refused
├── AccessDenied              the principal may not do this
├── InvalidOffset             not an offset of ours
├── KeyReused                 a key came again with other content
├── Unavailable               the database did not answer
├── TooLarge                  an event, a message or a batch is over its bound
├── SchemaError               a schema is not usable
│   └── SchemaMismatch        a schema disagrees with the one that the stream stores
└── RowError
    ├── InvalidRow            a row does not fit its collection
    ├── RowExists             insert of a key that is there
    ├── RowNotFound           update or delete of a key that is not
    └── VersionConflict       the row changed since it was read
"""

from __future__ import annotations

import re
from typing import Any

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class DocumentedError(Exception):
    """An error that says, where no message is given, what its class's docstring says."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class SharedStateError(DocumentedError):
    """Something went wrong with a stream."""


class StreamNotFound(SharedStateError):
    """There is no such stream."""


class StreamExists(SharedStateError):
    """There is a stream at this path already."""


class StreamClosed(SharedStateError):
    """This stream is closed and takes no more events."""


class StaleEpoch(SharedStateError):
    """Somebody else holds the lease by now; this write was refused."""


class AccessDenied(SharedStateError):
    """This principal may not do that."""


class InvalidOffset(SharedStateError):
    """An offset is sixteen digits, an underscore and sixteen digits."""


class KeyReused(SharedStateError):
    """This key came before with other content."""


class Unavailable(SharedStateError):
    """The database did not answer; try again."""


class TooLarge(SharedStateError):
    """This is more than one event may carry."""


class SchemaError(SharedStateError):
    """This schema cannot be used."""


class SchemaMismatch(SchemaError):
    """The schema disagrees with the one stored with the stream."""


class RowError(SharedStateError):
    """Something is wrong with a row."""


class InvalidRow(RowError):
    """The row does not fit its collection."""


class RowExists(RowError):
    """There is a row with this key already."""


class RowNotFound(RowError):
    """There is no row with this key."""


class VersionConflict(RowError):
    """The row changed since it was read; `current` is what it is now."""

    def __init__(self, message: str = "", *, current: dict[str, Any] | None = None, version: int = 0) -> None:
        super().__init__(message)
        self.current = current
        self.version = version


def code_of(error: Exception) -> str:
    """What the wire calls an error: its own `code`, or its class's name in snake case.

    >>> code_of(StreamNotFound())
    'stream_not_found'
    """
    return getattr(error, "code", None) or _WORD.sub("_", type(error).__name__).lower()
