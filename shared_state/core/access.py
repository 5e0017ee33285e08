"""Who may do what: one door for pages, sockets, admin and handlers. No identity, no rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
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
EVERY_VERB = frozenset().union(*VERBS.values())
NAMED = 1_000
"""How many streams at the most a statement names one by one."""
READERS = [role for role, verbs in VERBS.items() if "read" in verbs]


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
    return has_every_verb(principal, stream) or verb in verbs([(principal, stream)])[0]


def verbs(asked: Sequence[tuple[Principal, StreamInfo | Stream]]) -> list[Set[str]]:
    """What each principal may do to its stream, as `may` has it. One query for all, or none."""
    granted = _granted([(str(who), stream) for who, stream in asked if not has_every_verb(who, stream)])
    return [
        EVERY_VERB
        if has_every_verb(who, stream)
        else frozenset().union(*(granted.get((str(who), place), ()) for place in _places(stream)))
        for who, stream in asked
    ]


def has_every_verb(principal: Principal, stream: StreamInfo | Stream) -> bool:
    """Whether a principal may do everything to a stream, whatever is granted: its owner, and staff."""
    return sees_all(principal) or stream.owner == str(principal)


def _granted(asked: Sequence[tuple[str, StreamInfo | Stream]]) -> Mapping[tuple[str, int], Set[str]]:
    """What is granted to these principals at these streams, by principal and stream."""
    if not asked:
        return {}
    streams = {place for _, stream in asked for place in _places(stream)}
    found = Grant.objects.filter(stream__in=streams, principal__in={who for who, _ in asked})
    return {
        (who, stream): VERBS.get(role, frozenset())
        for who, stream, role in found.values_list("principal", "stream", "role")
    }


def _places(stream: StreamInfo | Stream) -> Iterator[int]:
    """Where grants for a stream may stand: at itself, and at the top of its family."""
    yield stream.id
    root = stream.root if isinstance(stream, StreamInfo) else stream.root_id
    if root is not None:
        yield root


def require(principal: Principal, verb: str, stream: StreamInfo | Stream) -> None:
    """Raise `AccessDenied` unless the principal may."""
    if not may(principal, verb, stream):
        raise AccessDenied(f"{principal} may not {verb} {stream.path}.")


def visible(principal: Principal, streams: QuerySet[Stream]) -> QuerySet[Stream]:
    """The streams that a principal may read."""
    if sees_all(principal):
        return streams
    mine = Grant.objects.filter(principal=str(principal), role__in=READERS)
    here, above = (Exists(mine.filter(stream=OuterRef(place))) for place in ("pk", "root"))
    return streams.filter(Q(owner=str(principal)) | here | above)


def visible_parts(principal: Principal, streams: QuerySet[Stream]) -> list[QuerySet[Stream]]:
    """What of many streams a principal may read, in parts that an index answers each, one's own first.

    `visible` asks each stream that it is given; these begin with what is somebody's. A stream may be in two.
    """
    if sees_all(principal):
        return [streams]
    own, at = streams.filter(owner=str(principal)), granted(principal)
    if isinstance(at, list) and not at:
        return [own]
    return [own, streams.filter(pk__in=at), streams.filter(root__in=at, root__isnull=False)]


def sees_all(principal: Principal) -> bool:
    """Whether every stream may be read, whoever owns it."""
    return principal.kind == "system" or (principal.kind == "user" and principal.staff)


def granted(principal: Principal) -> list[int] | QuerySet[Grant, int]:
    """The ids of the streams at which a grant lets a principal read: these, and what has one as its root.

    For look-ups that must begin with the few that are somebody's; `visible` asks each stream it is given. One
    query now: a database that is told the streams looks these up, whatever it believes of grants. Whoever has
    more grants than a statement should name gets a query for them.
    """
    at = Grant.objects.filter(principal=str(principal), role__in=READERS).values_list("stream", flat=True)
    few = list(at[: NAMED + 1])
    return few if len(few) <= NAMED else at
