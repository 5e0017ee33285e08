"""Who may do what: one door for pages, sockets, admin and handlers. No identity, no rights."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from shared_state.core.types import Principal, StreamInfo
from shared_state.exceptions import AccessDenied
from shared_state.models import Grant, Stream

VERBS = {
    "view": frozenset({"read"}),
    "chat": frozenset({"read", "write", "signal", "spawn"}),
    "manage": frozenset({"read", "write", "signal", "spawn", "manage", "delete"}),
}


def principal_of(user: Any) -> Principal:
    """Who a Django user is here. Raises `AccessDenied` for nobody, or somebody who was switched off."""
    if user is None or not getattr(user, "is_authenticated", False) or not user.is_active:
        raise AccessDenied("Sign in first.")
    return Principal("user", user.get_username(), staff=bool(user.is_staff))


def may(principal: Principal, verb: str, stream: StreamInfo | Stream) -> bool:
    """Whether a principal may do a verb to a stream: its owner, staff, or whom a grant names.

    Grants at the top of a family hold for all of it. An agent acts with its owner's rights and no more;
    the caller passes the owner as the principal.
    """
    if principal.kind == "system" or (principal.kind == "user" and principal.staff):
        return True
    if stream.owner == str(principal):
        return True
    root = stream.root if isinstance(stream, StreamInfo) else stream.root_id
    roles = Grant.objects.filter(
        stream__in=[i for i in (stream.id, root) if i is not None], principal=str(principal)
    )
    return any(verb in VERBS.get(role, ()) for role in roles.values_list("role", flat=True))


def require(principal: Principal, verb: str, stream: StreamInfo | Stream) -> None:
    """Raise `AccessDenied` unless the principal may."""
    if not may(principal, verb, stream):
        raise AccessDenied(f"{principal} may not {verb} {stream.path}.")


def visible(principal: Principal, streams: QuerySet[Stream]) -> QuerySet[Stream]:
    """The streams that a principal may read."""
    if principal.kind == "system" or (principal.kind == "user" and principal.staff):
        return streams
    granted = Grant.objects.filter(
        Q(stream=OuterRef("pk")) | Q(stream=OuterRef("root")),
        principal=str(principal),
        role__in=[role for role, verbs in VERBS.items() if "read" in verbs],
    )
    return streams.filter(Q(owner=str(principal)) | Exists(granted))
