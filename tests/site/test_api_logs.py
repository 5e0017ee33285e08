"""Long logs by the API: in pieces, in fewer bytes, and whole or visibly broken off."""

import gzip
import http.client
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from agents_site.api.log_body import MOST_TYPES
from shared_state import api
from shared_state.api import wire
from tests.site.caller import Caller, Reply
from tests.site.test_docs import run
from tests.support.client import Client
from tests.support.processes import Installation

LOG = "/api/streams/bench/log"
EVENTS = 2_500
expanded = run("docs/reference/http.md")["expanded"]
FILL = f"""
from shared_state.api import NewEvent, Provenance, unit
ada = Provenance("user:ada")
stream = unit(lambda u: u.create_stream("/bench/log", "entity", "user:ada"), provenance=ada)
events = [NewEvent("note", str(n), {{"n": n, "text": "word " * 9}}, fold=False) for n in range({EVENTS})]
unit(lambda u: u.append(stream.id, events), provenance=ada)
"""


@pytest.fixture
def caller(ada: User) -> Caller:
    exec(FILL, {})
    return Caller.of(ada)


async def read(caller: Caller, query: str, **headers: str) -> Reply:
    return await caller.send("GET", LOG, b"", query, **headers)


async def test_it_reads_ten_thousand_events_at_most(caller: Caller) -> None:
    reply = (await read(caller, "limit=10000")).json

    assert [event["value"]["n"] for event in reply["events"]] == list(range(EVENTS))
    assert (reply["more"], reply["next"]) == (False, api.format_offset(EVENTS))


async def test_it_reads_only_so_many_types_at_once(caller: Caller) -> None:
    """Each that is rare costs a look-up of its own: 4,000 of them kept a thread for 5 s."""
    names = [f"t{number}" for number in range(MOST_TYPES)]

    assert (await read(caller, "types=" + ",".join([*names, *names]))).status == 200
    reply = await read(caller, "types=" + ",".join([*names, "one-more"]))

    assert (reply.status, reply.code) == (400, "too_many_types")


async def test_the_compact_form_says_the_same(caller: Caller) -> None:
    plain = await read(caller, "limit=2000&after=0000000000000000_0000000000000007")
    compact = await read(caller, "limit=2000&after=0000000000000000_0000000000000007&format=compact")

    assert compact.headers == plain.headers
    assert compact.json["format"] == "compact"
    assert {**compact.json, "format": "", "events": expanded(compact.json)} == {**plain.json, "format": ""}
    assert len(compact.body) < len(plain.body) / 2


@pytest.mark.parametrize("limit", [5, 10_000])
async def test_it_is_compressed_if_asked_for(limit: int, caller: Caller) -> None:
    plain = await read(caller, f"limit={limit}")
    small = await read(caller, f"limit={limit}", accept_encoding="gzip, br")

    assert small.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) < len(plain.body) * 0.5


async def test_it_is_sent_in_pieces_of_a_bounded_size(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PAGE_EVENTS", 100)
    sent = await sent_to(caller, "GET", "limit=1000")

    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * 10]
    assert "content-length" not in dict(sent[0]["headers"])
    assert max(len(message["body"]) for message in sent[1:]) < 100 * 400
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * 9 + [False]


async def test_a_short_answer_says_its_length(caller: Caller) -> None:
    reply = await read(caller, "limit=10")

    assert int(reply.headers["content-length"]) == len(reply.body)


async def test_head_reads_no_more_than_it_must(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PAGE_EVENTS", 100)
    read_pages, page = [], wire.page

    def counted(*args: Any) -> wire.Page:
        read_pages.append(args)
        return page(*args)

    monkeypatch.setattr(wire, "page", counted)
    sent = await sent_to(caller, "HEAD", "limit=10000")

    assert (sent[0]["status"], len(sent), sent[1]["body"]) == (200, 2, b"")
    assert len(read_pages) == 2


async def test_an_answer_that_breaks_off_does_not_end_well(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_later(monkeypatch)
    sent: list[dict[str, Any]] = []

    with pytest.raises(OperationalError):
        await sent_to(caller, "GET", "limit=10000", into=sent)

    assert all(message.get("more_body", True) for message in sent)


async def test_a_fault_before_the_first_page_is_an_error_as_ever(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> wire.Page:
        raise OperationalError("gone")

    monkeypatch.setattr(wire, "page", fail)
    reply = await read(caller, "limit=10000")

    assert (reply.status, reply.code) == (503, "unavailable")


def fail_later(monkeypatch: pytest.MonkeyPatch) -> None:
    page = wire.page

    def failing(stream: int, after: int, *rest: Any) -> wire.Page:
        if after >= 2_000:
            raise OperationalError("gone")
        return page(stream, after, *rest)

    monkeypatch.setattr(wire, "page", failing)


async def sent_to(
    caller: Caller, method: str, query: str, into: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """The messages that the application sends."""
    from agents_site.asgi import application

    sent: list[dict[str, Any]] = [] if into is None else into

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(caller.scope(method, LOG, query=query), receive, send)
    return sent


# -- at the real servers

BROKEN = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "agents_site.settings"
from agents_site.asgi import application
from django.db import OperationalError
from shared_state.log import wire
page = wire.page
def failing(stream, after, *rest):
    if after >= 2000:
        raise OperationalError("gone")
    return page(stream, after, *rest)
wire.page = failing
kind, fd = sys.argv[1], int(sys.argv[2])
if kind == "daphne":
    from django.core.management import call_command
    call_command("serve", fd=fd)
else:
    import uvicorn
    uvicorn.run(application, fd=fd)
"""
READY = {"daphne": "Serving on", "uvicorn": "Application startup complete"}


@pytest.mark.parametrize("kind", READY)
def test_a_reader_notices_that_an_answer_broke_off(kind: str, tmp_path: Path) -> None:
    with Installation(tmp_path) as site:
        site.prepare(ada="ada")
        site.manage("shell", "--no-imports", "-c", FILL)
        server = site.start([sys.executable, "-c", BROKEN, kind, str(site.fd)], site.production, READY[kind])
        ada = Client(site.url)
        ada.sign_in("ada", "ada")

        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            ada.get(f"{LOG}?limit=10000")
        status, answer = ada.get(f"{LOG}?limit=2000")

        assert (status, len(orjson.loads(answer)["events"])) == (200, 2_000)
        assert "OperationalError" in server.output
