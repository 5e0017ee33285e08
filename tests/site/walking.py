"""The tables of the walk: every route there is, a request for each, and what each person gets.

A route that is not in a table fails the walk. So whoever adds one says here who may use it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import URLPattern, URLResolver, get_resolver

ROLES = ("nobody", "cleo", "viewer", "chatter", "ada", "staff")
"""Cleo is a stranger; viewer and chatter are Ben with a grant of that role on Ada's host."""

Statuses = Mapping[str, int]


def statuses(nobody: int, cleo: int, viewer: int, chatter: int, others: int | None = None) -> Statuses:
    """The status for each role; Ada and staff get what a chatter gets unless told otherwise."""
    owner = chatter if others is None else others
    return dict(zip(ROLES, (nobody, cleo, viewer, chatter, owner, owner), strict=True))


EVERYBODY = statuses(200, 200, 200, 200)
SIGNED_IN = statuses(302, 200, 200, 200)
"""A page of one's own: everybody sees another."""
READERS = statuses(302, 404, 200, 200)
"""A page about something of Ada's: for a stranger it is not there."""


@dataclass(frozen=True)
class Visit:
    """One request. `shows`: those who may read find Ada's text in the answer.

    `names_it`: the visitor typed the address of Ada's agent, and reads it again in the answer.
    """

    path: str
    expected: Statuses
    shows: bool = False
    form: Mapping[str, str] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    names_it: bool = False

    @property
    def method(self) -> str:
        return "GET" if self.form is None else "POST"

    @property
    def body(self) -> bytes:
        return urlencode(self.form or {}).encode()


SHARED = "shared:debate-/debate/host"
HOST = "/<agent_type:type>/<agent_id:slug>/"
MESSAGE = {"message": "from the walk", "key": "walk-key-1"}

PAGES: dict[str, tuple[Visit, ...]] = {
    "/favicon.ico": (Visit("/favicon.ico", dict.fromkeys(ROLES, 204)),),
    # Whoever is signed in is sent on.
    "/accounts/login/": (Visit("/accounts/login/", statuses(200, 302, 302, 302)),),
    "/accounts/logout/": (Visit("/accounts/logout/", dict.fromkeys(ROLES, 405)),),
    "/": (Visit("/", SIGNED_IN, shows=True),),
    "/agents/": (
        Visit("/agents/", SIGNED_IN, shows=True),
        Visit("/agents/", SIGNED_IN, shows=True, query={"q": "host"}),
    ),
    "/agents/status/": (Visit("/agents/status/", SIGNED_IN, shows=True, query={"url": "/debate/host"}),),
    "/agents/chat/": (
        Visit("/agents/chat/", statuses(302, 405, 405, 405)),
        Visit(
            "/agents/chat/", statuses(302, 302, 302, 302), form={"message": "hello", "key": "walk0key0001"}
        ),
    ),
    "/agents/new/": (Visit("/agents/new/", SIGNED_IN),),
    "/agents/new/<agent_type:type>/": (
        Visit("/agents/new/debate/", SIGNED_IN),
        Visit("/agents/new/none/", statuses(302, 404, 404, 404)),
        # An id that is taken: the form says so, whosever the agent is.
        Visit(
            "/agents/new/debate/",
            statuses(302, 400, 400, 400),
            form={"id": "host", "message": "x"},
            names_it=True,
        ),
    ),
    HOST: (
        Visit("/debate/host/", READERS, shows=True),
        Visit("/worker/child/", READERS, shows=True),
        Visit("/debate/host/", statuses(302, 404, 400, 302), form=MESSAGE),
    ),
    f"{HOST}family/": (Visit("/debate/host/family/", READERS, shows=True),),
    f"{HOST}earlier/": (Visit("/debate/host/earlier/", READERS, shows=True, query={"before": "999"}),),
    f"{HOST}tool/": (Visit("/debate/host/tool/", READERS, shows=True, query={"key": "c2"}),),
    f"{HOST}state/": (Visit("/debate/host/state/", READERS, shows=True),),
    f"{HOST}events/": (Visit("/debate/host/events/", READERS, shows=True),),
    f"{HOST}events/<int:offset>/": (Visit("/debate/host/events/1/", READERS, shows=True),),
    f"{HOST}board/<int:number>/": (Visit("/debate/host/board/0/", READERS, shows=True),),
    "/shared/": (Visit("/shared/", SIGNED_IN),),
    "/shared/<path:id>/": (
        Visit("/shared/debate-/debate/host/", READERS, shows=True),
        Visit("/shared/debate-/debate/host/", READERS, shows=True, query={"view": "board"}),
        Visit(
            "/shared/debate-/debate/host/",
            READERS,
            query={"part": "earlier", "of": "arguments", "before": "2"},
        ),
    ),
    "/value-of/<path:stream>/": (
        Visit(f"/value-of/{SHARED}/", READERS, query={"type": "shared:argument", "key": "con-1"}, shows=True),
        Visit(f"/value-of/{SHARED}/", READERS, query={"offset": "1"}, shows=True),
    ),
}


@dataclass(frozen=True)
class ApiVisit:
    """One request to the API."""

    path: str
    expected: Statuses
    value: Any = None


READ_API = statuses(401, 404, 200, 200)
API: dict[tuple[str, str], tuple[ApiVisit, ...]] = {
    ("GET", r"streams/(?P<path>.+)"): (
        ApiVisit("/api/streams/debate/host", READ_API),
        ApiVisit(f"/api/streams/{SHARED}", READ_API),
        ApiVisit("/api/streams/presence:user:ada", statuses(401, 404, 404, 404, 200)),
    ),
    ("POST", r"streams/(?P<path>.+)/rows/(?P<collection>[^/]+)"): (
        ApiVisit(
            f"/api/streams/{SHARED}/rows/notes",
            statuses(401, 404, 403, 201),
            {"row": {"key": "w", "text": "w"}},
        ),
    ),
    ("PUT", r"agents/(?P<type>[^/]+)/(?P<id>[^/]+)"): (
        ApiVisit("/api/agents/debate/host", statuses(401, 409, 409, 409), {}),
        ApiVisit("/api/agents/debate/new-one", statuses(401, 201, 201, 201), {}),
    ),
    ("POST", r"agents/(?P<type>[^/]+)/(?P<id>[^/]+)/messages"): (
        ApiVisit("/api/agents/debate/host/messages", statuses(401, 404, 403, 201), {"payload": "hello"}),
    ),
    ("POST", r"agents/(?P<type>[^/]+)/(?P<id>[^/]+)/signals"): (
        ApiVisit("/api/agents/debate/host/signals", statuses(401, 404, 403, 200), {"signal": "SIGINT"}),
    ),
}

FOLLOW_HOST = {
    "op": "follow",
    "id": 1,
    "stream": "/debate/host",
    "after": "0000000000000000_0000000000000000",
}
FOLLOW = {
    codec: FOLLOW_HOST | {"codec": codec, "stream": stream}
    for codec, stream in {
        "timeline": "/debate/host",
        "events": "/debate/host",
        "state": "/debate/host",
        "panel": "/debate/host",
        "table": SHARED,
        "board": SHARED,
        "presence": "presence:user:ada",
    }.items()
}
"""A frame for each live codec; the answer is `following` for those who may read, else an error."""


@dataclass(frozen=True)
class Frame:
    """One frame to the socket, and the code of the answer (or its `op`) for each role."""

    frame: dict[str, Any]
    answers: Mapping[str, str]


def answers(cleo: str, viewer: str, chatter: str, others: str | None = None) -> Mapping[str, str]:
    """The answer for each role. Nobody's socket is closed before it is asked anything."""
    owner = chatter if others is None else others
    return dict(zip(ROLES[1:], (cleo, viewer, chatter, owner, owner), strict=True))


SEND = {"op": "send", "ref": "r", "to": "/debate/host", "key": "walk-key-2", "payload": "hello"}
SIGNAL = {"op": "signal", "ref": "r", "to": "/debate/host", "signal": "SIGINT"}
SOCKET: dict[str, tuple[Frame, ...]] = {
    "follow": tuple(
        Frame(
            frame,
            answers("stream_not_found", "stream_not_found", "stream_not_found", "following")
            if codec == "presence"
            else answers("stream_not_found", "following", "following"),
        )
        for codec, frame in FOLLOW.items()
    ),
    "unfollow": (),  # It has no answer, and concerns only what one follows oneself.
    "send": (Frame(SEND, answers("entity_not_found", "access_denied", "ok")),),
    "signal": (Frame(SIGNAL, answers("entity_not_found", "access_denied", "ok")),),
}


def routes(patterns: list[Any] | None = None, prefix: str = "/") -> Iterator[str]:
    """Every route of the site, as its pattern."""
    for found in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(found, URLResolver):
            yield from routes(found.url_patterns, prefix + str(found.pattern))
        elif isinstance(found, URLPattern):
            yield prefix + str(found.pattern)
