"""Errors as answers: a status, a code that programs compare, a message for people."""

from __future__ import annotations

from typing import Any

from entities.exceptions import (
    EntitiesError,
    EntityExists,
    EntityNotFound,
    EntityStopped,
    KeyTaken,
    UnknownType,
)
from shared_state.core.outage import RETRY_AFTER
from shared_state.exceptions import (
    AccessDenied,
    KeyReused,
    RowExists,
    RowNotFound,
    SharedStateError,
    StreamClosed,
    StreamNotFound,
    TooLarge,
    Unavailable,
    VersionConflict,
    code_of,
)

REFUSALS = (EntitiesError, SharedStateError)
"""What the apps raise when they refuse; anything else is a fault of ours."""
STATUSES: dict[type[Exception], int] = {
    AccessDenied: 403,
    StreamNotFound: 404,
    EntityNotFound: 404,
    UnknownType: 404,
    RowNotFound: 404,
    EntityExists: 409,
    EntityStopped: 409,
    KeyTaken: 409,
    KeyReused: 409,
    StreamClosed: 409,
    RowExists: 409,
    VersionConflict: 409,
    TooLarge: 413,
    Unavailable: 503,
}
"""All others are 400: what was sent does not fit."""


class ApiError(Exception):
    """A request is refused."""

    def __init__(self, status: int, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details
        self.headers: list[tuple[bytes, bytes]] = []

    @classmethod
    def of(cls, error: Exception) -> ApiError:
        """The answer to what the apps raised."""
        status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 400)
        code = code_of(error)
        if isinstance(error, VersionConflict):
            return cls(status, code, str(error), current=error.current)
        made = cls(status, code, str(error))
        if isinstance(error, Unavailable):
            made.headers.append((b"retry-after", str(RETRY_AFTER).encode()))
        return made

    def body(self) -> dict[str, Any]:
        """The JSON that is sent."""
        return {"error": {"code": self.code, "message": str(self), **self.details}}
