"""A log may begin later than at 1, and have holes: every reader copes, and nobody shows what is not so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.db.models import Max
from django.test import Client
from django.urls import reverse

from entities import api as agents
from entities.agent import run_state
from entities.api import entity as entity_source
from entities.catalog import timeline
from entities.catalog.events import LOG_ONLY
from entities.models import Entity
from entities.testing import runtime
from entities.testing.runtime import ADA, handle_all, look, quiet, spawn, tell, working
from entities.types.registry import Registry, registry
from entities.web import queries
from shared_state import api
from shared_state.core.types import format_offset
from shared_state.live import codecs
from shared_state.live.hub import Hub
from shared_state.live.send_queue import SendQueue
from shared_state.models import EventRecord, Stream
from shared_state.notify import bus
from tests.site.caller import Caller
from tests.site.test_docs import run as documented
from tests.support.answering import an_hour_passes, answered, prune, speaking

CODECS = {
    "entity": ("timeline", "panel", "events", "state"),
    "presence": ("presence",),
    "shared": ("table", "board"),
}
expanded = documented("docs/reference/http.md")["expanded"]


def _pruned() -> None:
    an_hour_passes()
    prune()


def _beginning() -> None:
    """Of each log, the first two thirds are gone."""
    for stream in Stream.objects.filter(head__gt=2):
        begins = stream.head * 2 // 3
        EventRecord.objects.filter(stream=stream, offset__lt=begins).delete()
        Stream.objects.filter(pk=stream.pk).update(begins=begins)


def _every_other() -> None:
    """Every other event is gone, whatever it was, but for the last."""
    for stream in Stream.objects.all():
        odd = [offset for offset in range(1, stream.head) if offset % 2]
        EventRecord.objects.filter(stream=stream, offset__in=odd).delete()


@pytest.fixture(params=[_pruned, _beginning, _every_other], ids=lambda punch: punch.__name__[1:])
def punch(request: pytest.FixtureRequest) -> Callable[[], None]:
    found: Callable[[], None] = request.param
    return found


@pytest.fixture
async def debate(ada: User) -> Entity:
    """A debate that was held, with its workers and its shared state."""
    await look(registry.store)
    url = await spawn("debate", "town", message="Debate in 1 round: should cities ban private cars?")
    async with working() as worker:
        await quiet(worker, 60)
    return await runtime.entity(url)


def streams() -> list[api.StreamInfo]:
    return [api.info_of(stream) for stream in Stream.objects.filter(head__gt=1).order_by("id")]


def left(stream: api.StreamInfo) -> list[int]:
    found = EventRecord.objects.filter(stream=stream.id).order_by("offset")
    return list(found.values_list("offset", flat=True))


async def test_logs_are_read_by_http(debate: Entity, punch: Callable[[], None], ada: User) -> None:
    await look(punch)
    caller = await look(Caller.of, ada)
    for stream in [one for one in await look(streams) if one.kind != "presence"]:
        offsets, after = [], format_offset(0)
        for _ in range(stream.head):
            path = f"/api/streams/{stream.path.removeprefix('/')}"
            plain = (await caller.get(path, f"limit=7&after={after}")).json
            compact = (await caller.get(path, f"limit=7&after={after}&format=compact")).json
            assert {**compact, "format": "", "events": expanded(compact)} == {**plain, "format": ""}
            offsets += [event["headers"]["offset"] for event in plain["events"]]
            assert all(event["value"] for event in plain["events"])
            after = plain["next"]
            if not plain["more"]:
                break
        assert offsets == [format_offset(offset) for offset in await look(left, stream)]
        assert after == format_offset(stream.head)


async def test_logs_are_read_from_both_ends(debate: Entity, punch: Callable[[], None]) -> None:
    await look(punch)
    for stream in await look(streams):
        for types in (None, ["text"], ["text", "run", "text_delta", "agent"]):
            forth: list[int] = []
            back: list[int] = []
            while more := await look(api.read, stream.id, forth[-1] if forth else 0, 7, types):
                forth += [event.offset for event in more]
            while more := await look(api.read_newest, stream.id, back[-1] if back else None, 7, types):
                back += [event.offset for event in more]
            assert forth == back[::-1]
            assert types is not None or forth == await look(left, stream)


async def test_a_socket_behind_a_hole_is_told_to_load_anew(debate: Entity, punch: Callable[[], None]) -> None:
    """And one at the head goes on."""
    await look(punch)
    hub, missing = Hub(codecs.encode_events, bus.Bus()), 0
    try:
        for stream in await look(streams):
            there = set(await look(left, stream))
            hole = max(set(range(1, stream.head)) - there, default=0)
            missing += bool(hole)
            for codec in CODECS[stream.kind] if hole else ():
                queue = SendQueue()
                assert hub.follow(queue, 1, stream, codec, hole - 1)
                frame = orjson.loads(await queue.get() or "")
                assert (frame["op"], queue.feeds) == ("reset", {}), (stream.path, codec, hole)
                queue = SendQueue()
                assert hub.follow(queue, 1, stream, codec, hole)
                assert queue.feeds
        assert missing >= 4
    finally:
        await hub.stop()


async def test_codecs_render_what_is_left(debate: Entity, punch: Callable[[], None]) -> None:
    await look(punch)
    for stream in await look(streams):
        events = await look(api.read, stream.id, limit=100_000)
        for codec in CODECS[stream.kind]:
            for begin in range(0, len(events), 7):
                some = events[begin : begin + 7]
                assert await look(codecs.encode_events, codec, stream, some[0].offset - 1, some) is not None


async def test_pages_show_the_same(debate: Entity, punch: Callable[[], None], ada: User, staff: User) -> None:
    """The timeline is made of rows; the raw log says what it has."""

    def shown() -> str:
        window = queries.newest(debate.stream_id, limit=1000)
        puts, _ = queries.earlier(debate, 10**9, limit=1000)
        return str(queries.render_window(debate, window, [])[0]) + "".join(put.html for put in puts)

    before = await look(shown)
    await look(punch)
    assert await look(shown) == before

    def walk() -> None:
        client, boss = Client(), Client()
        client.force_login(ada)
        boss.force_login(staff)
        page = client.get("/debate/town/")
        assert page.status_code == 200
        for part in ("events/?type=all", "state/", "board/0/"):
            assert client.get(f"/debate/town/{part}").status_code == 200, part
        shared = Stream.objects.get(kind="shared").path.removeprefix("shared:")
        assert client.get(reverse("shared_state:shared", args=[shared])).status_code == 200
        stream = api.get_stream("/debate/town")
        there = set(left(stream))
        for offset in range(1, stream.head + 1):
            status = client.get(f"/debate/town/events/{offset}/").status_code
            assert status == (200 if offset in there else 404)
        listed = reverse("admin:shared_state_eventrecord_changelist")
        assert boss.get(f"{listed}?stream={stream.id}").status_code == 200
        for record in EventRecord.objects.filter(stream=stream.id):
            found = boss.get(reverse("admin:shared_state_eventrecord_change", args=[record.pk]))
            assert found.status_code == 200
            assert record.key in found.content.decode()

    await look(walk)


async def test_agents_go_on(debate: Entity, punch: Callable[[], None]) -> None:
    """Prompts are made of rows, and a message after the hole is handled as any other."""

    def window() -> Any:
        newest = Stream.objects.get(pk=debate.stream_id).rows.filter(type="run").aggregate(n=Max("created"))
        run = api.rows(debate.stream_id, "run")[-1]
        assert run.created == newest["n"]
        data = run_state.load(debate.stream_id, run.key)
        return [(row.type, row.key, row.value) for row in (*data.before, *data.own)]

    before = await look(window)
    await look(punch)
    assert await look(window) == before

    await tell(debate.url, "How did it end?")
    async with working() as worker:
        await quiet(worker, 60)
    assert (await runtime.entity(debate.url)).state == "idle"
    assert (await runtime.wakes(debate.url))[-1].state == "done"


async def test_others_read_what_is_left(debate: Entity, punch: Callable[[], None], types: Registry) -> None:
    await look(punch)
    seen: list[list[int]] = []

    @types.define("reader")
    async def reader(ctx: Any, wake: Any) -> None:
        other = await ctx.observe(entity_source(debate.url))
        seen.append([event.offset for event in await other.events(limit=10_000)])
        assert await other.status() == "idle"

    await spawn("reader", message="go")
    await handle_all()

    assert seen == [await look(left, await look(api.get_stream, debate.url))]


async def test_a_run_that_was_cut_off_goes_on_after_its_past_was_pruned(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaking(types, monkeypatch)
    url = await answered()
    await tell(url, "And?")
    [claimed] = await runtime.claim()
    await runtime.expire(url)

    await look(_pruned)
    await runtime.recover()
    await handle_all()

    assert [value["status"] for value in await runtime.values(url, "run")] == ["completed", "completed"]
    kept = [event for event in await runtime.events(url) if event.offset >= claimed.wake.from_offset]
    assert {event.type for event in kept} >= LOG_ONLY & {"text_delta"}


async def test_a_text_with_a_missing_piece_shows_where(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours makes such a hole; a reader that meets one goes on at the right place."""
    speaking(types, monkeypatch)
    url = await answered()
    pieces = await runtime.events(url, "text_delta")
    whole = "".join(piece.value["delta"] for piece in pieces)

    [joined] = timeline.joined([*pieces[:2], *pieces[3:]]).values()

    gap = pieces[2].value
    end = gap["start"] + len(gap["delta"])
    assert joined == whole[: gap["start"]] + "…".ljust(len(gap["delta"])) + whole[end:]


async def test_what_is_repeated_is_still_known(debate: Entity) -> None:
    first = (await runtime.events(debate.url, "inbox"))[0]
    await look(_pruned)

    again = await agents.deliver(ADA, debate.url, first.value["payload"], key=first.key)

    assert again.offset == first.offset
