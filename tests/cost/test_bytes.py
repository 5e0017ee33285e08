"""What pages and pushes weigh: there is a bound, however long the values are that others have written."""

from __future__ import annotations

from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from entities.models import Entity, Wake
from shared_state import api
from shared_state.api import Event, Provenance
from shared_state.live import codecs
from shared_state.models import EventRecord, RowRecord, Stream
from tests.cost.test_pages import fill, host
from tests.cost.test_pages import page as page  # noqa: PLC0414  a fixture

pytestmark = pytest.mark.django_db

PAGE = 1_000_000
"""Bytes of a page, and of what one look at a time fetches."""
PUSH = 2_000_000
"""Bytes of all frames that one read of new events becomes; if it were more, the page is loaded anew."""
FORMS = {"300 of 60 KB": (300, "<" * 60_000), "10 of 1 MB": (10, "a 'word' & " * 90_000)}
TYPES = {
    "inbox": "payload",
    "text": "content",
    "reasoning": "content",
    "error": "message",
    "entity_stopped": "reason",
    "signal": "reason",
}
"""Types of rows that a timeline shows whole, and what is long in them."""
SHARED = "/shared/debate-/debate/host/"


@pytest.fixture(params=FORMS)
def long(request: Any) -> tuple[int, str]:
    """How many values, and such a value."""
    return FORMS[request.param]


def shared() -> Stream:
    return Stream.objects.get(path="shared:debate-/debate/host")


def weight(page: Client, address: str) -> int:
    answer = page.get(address)
    assert answer.status_code == 200
    return len(answer.content)


def put(stream: Stream, type: str, key: str, value: dict[str, Any]) -> None:
    fill(stream, type, 1, value)
    stream.refresh_from_db()
    for model, place in ((EventRecord, "offset"), (RowRecord, "created")):
        model._default_manager.filter(**{"stream": stream, "type": type, place: stream.head}).update(key=key)


def test_tables_and_boards_of_long_values(page: Client, long: tuple[int, str]) -> None:
    count, text = long
    fill(shared(), "shared:arguments", count, {"side": "pro", "text": text, "round": 1})
    fill(shared(), "shared:loose", count, {"one": text, "two": [text, {"a": text}], "three": 3})
    fill(host().stream, "state:progress", count, {"turn": 1, "note": text})
    put(host().stream, "state:status", "current", dict.fromkeys(("topic", "phase", "ruling", "winner"), text))

    weights = {
        address: weight(page, address)
        for address in (
            SHARED,
            f"{SHARED}?view=board",
            f"{SHARED}?part=earlier&of=loose&before=550",
            "/debate/host/state/",
            "/debate/host/board/0/",
        )
    }

    assert {address: size for address, size in weights.items() if size > PAGE} == {}


@pytest.mark.parametrize("type", TYPES)
def test_timelines_of_long_values(page: Client, long: tuple[int, str], type: str) -> None:
    count, text = long
    value = {TYPES[type]: text, "status": "completed", "from": "agent:/worker/x", "type": "message"}
    fill(host().stream, type, count, value)

    assert weight(page, "/debate/host/") <= PAGE
    assert weight(page, "/debate/host/earlier/?before=9") <= PAGE
    assert weight(page, "/debate/host/events/") <= PAGE
    assert weight(page, f"/debate/host/events/{host().stream.head}/") <= PAGE


def test_timelines_of_long_calls_and_wakes(page: Client, long: tuple[int, str]) -> None:
    count, text = long
    call = {"tool_name": "write_arguments", "status": "failed", "args": {"text": text}, "result": text}
    child = {"url": "/worker/x", "run_status": "failed", "error": text, "response": text}
    changes = [{"kind": "insert", "collection": "notes", "key": f"k{n}"} for n in range(500)]
    fill(host().stream, "tool_call", count, {**call, "error": text})
    fill(host().stream, "wake", count, {"reason": "child", "finished_child": child, "changes": changes})

    assert weight(page, "/debate/host/") <= PAGE
    assert weight(page, "/debate/host/tool/?key=k1") <= PAGE
    assert weight(page, "/debate/host/board/0/") <= PAGE


@pytest.mark.parametrize("type", ["text", "reasoning", "tool_call"])
def test_what_is_still_written_has_a_bound_too(page: Client, long: tuple[int, str], type: str) -> None:
    """Beyond it nothing more is shown until it is complete, and the pushes say nothing more either."""
    _, text = long
    stream, key = host().stream, f"k{host().stream.head + 1}"
    status = "started" if type == "tool_call" else "streaming"
    fill(stream, type, 1, {"status": status, "tool_name": "write_arguments"})
    for start in range(0, len(text), 50_000):
        delta = {f"{type}_id": key, "delta": text[start : start + 50_000], "start": start}
        fill(stream, f"{type}_delta", 1, delta)

    assert weight(page, "/debate/host/") <= PAGE
    assert weight(page, "/debate/host/board/0/") <= PAGE
    for codec in ("timeline", "panel"):
        assert weight_of_pushes(stream, codec) <= PAGE


def weight_of_pushes(stream: Stream, codec: str) -> int:
    """Bytes of what a socket is told of all events, one by one."""
    info = api.get_stream(stream.path)
    frames = [
        codecs.encode_events(codec, info, each.offset - 1, [each]) for each in api.read(stream.pk, 0, 500)
    ]
    assert None not in frames
    return sum(len(frame.encode()) for each in frames for frame in each or ())


@pytest.mark.parametrize("codec", ["table", "board", "timeline", "events", "state", "panel"])
def test_what_is_pushed_has_a_bound(page: Client, long: tuple[int, str], codec: str) -> None:
    count, text = long
    value = {"side": "pro", "text": text, "payload": text, "content": text, "topic": text, "turn": text}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stream = api.get_stream(shared().path if codec in ("table", "board") else "/debate/host")
    types = ("shared:arguments", "shared:loose") if codec in ("table", "board") else (
        "inbox", "text", "state:status", "state:progress",
    )  # fmt: skip
    for type in types:
        events = [
            Event(stream.id, n + 1, type, "current" if type == "state:status" else f"k{n}", "insert", value,
                  now, Provenance("agent:/worker/x"), None)
            for n in range(count)
        ]  # fmt: skip

        one = codecs.encode_events(codec, stream, 0, events[:1])
        frames = codecs.encode_events(codec, stream, 0, events)

        assert one is not None
        assert sum(len(frame.encode()) for frame in one) <= PAGE
        assert sum(len(frame.encode()) for frame in frames or []) <= PUSH


def test_the_admin_of_long_values(page: Client, ada: User, long: tuple[int, str]) -> None:
    count, text = long
    ada.is_staff = ada.is_superuser = True
    ada.save()
    fill(shared(), "shared:loose", count, {"one": text, "two": [text]})
    Entity.objects.update(args={"topic": text})
    Wake.objects.bulk_create(
        Wake(
            entity=host(),
            reason="manual",
            source="user:ada",
            error=text,
            due_at=timezone.now(),
            created_at=timezone.now(),
            payload={"a": text},
        )
        for _ in range(count)
    )
    event, row, wake = (
        EventRecord.objects.latest("pk"),
        RowRecord.objects.latest("pk"),
        Wake.objects.latest("pk"),
    )

    for address in (
        "/admin/shared_state/eventrecord/",
        f"/admin/shared_state/eventrecord/{event.pk}/change/",
        "/admin/shared_state/rowrecord/",
        f"/admin/shared_state/rowrecord/{row.pk}/change/",
        "/admin/entities/wake/",
        f"/admin/entities/wake/{wake.pk}/change/",
        f"/admin/entities/entity/{host().pk}/change/",
        "/debate/host/",
    ):
        assert weight(page, address) <= PAGE, address


def links(html: str) -> list[str]:
    return [unescape(part.partition('"')[0]) for part in html.split('class="more-of" href="')[1:]]


def test_what_was_cut_is_opened_whole_part_by_part(page: Client) -> None:
    text = "".join(f"line {n} of it\n" for n in range(10_000))
    fill(shared(), "shared:loose", 1, {"one": text})
    (address,) = links(page.get(SHARED).content.decode())

    parts = []
    while address:
        assert weight(page, address) <= PAGE
        shown = page.get(address).content.decode()
        parts.append(unescape(shown.partition('tabindex="0">')[2].partition("</pre>")[0]))
        address = unescape(shown.rpartition('">Further')[0].rpartition('href="')[2])

    assert "".join(parts) == text


def test_the_whole_is_for_those_who_may_read_it(page: Client, client: Client) -> None:
    fill(shared(), "shared:loose", 1, {"one": "long " * 9_000})
    (address,) = links(page.get(SHARED).content.decode())
    assert weight(page, address)
    assert page.get(f"/value-of/{shared().pk}/?type=shared:loose&key=nothing").status_code == 404
    assert page.get(f"/value-of/{shared().pk}/?offset=99999").status_code == 404
    assert page.get("/value-of/99999999999999999999/").status_code == 404

    client.force_login(User.objects.create_user("cleo"))

    assert client.get(address).status_code == 404
    client.logout()
    assert "/accounts/login/" in unquote(client.get(address)["Location"])
