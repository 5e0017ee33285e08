"""What agents and people write is text on every page, whatever it looks like."""

import json

import pytest
from django.contrib.auth.models import User

from shared_state.api import get_stream_by_id, in_thread, read
from shared_state.html import changes
from shared_state.live import codecs
from shared_state.models import EventRecord, RowRecord, Stream
from tests.site.caller import Caller
from tests.site.hostile import KEY, MARK, TEXT, faults, foreign_links
from tests.site.walking import FOLLOW, PAGES
from tests.site.world import World, build


@pytest.fixture
def world(transactional_db: None) -> World:
    return build(TEXT, KEY)


@pytest.fixture
def boss(world: World, staff: User) -> Caller:
    return Caller.of(staff)


def test_the_reader_sees_what_a_page_must_not_have() -> None:
    for bad in (
        "<script>x</script>", "<p onclick=x>", "<a href=' javascript:x'>", "<img src=x onerror=y>",
        "<img src='http://evil.example/x.png'>", "<p style='x'>", "<a href='data:text/html,x'>", "<iframe>",
        TEXT,
    ):  # fmt: skip
        assert faults(bad), bad
    for good in (
        "<script src='/static/x.js'></script>",
        "<a href='https://example.org/'>x</a>",
        "<p>&lt;script&gt;</p>",
    ):
        assert faults(good) == []


async def test_no_page_lets_it_be_more_than_text(boss: Caller) -> None:
    wrong, seen = [], set()
    for visits in PAGES.values():
        for visit in visits:
            if visit.form is not None:
                continue
            query = "&".join(f"{name}={value}" for name, value in visit.query.items())
            page = (await boss.get(visit.path, query)).body.decode()
            if page.startswith("{"):
                page = "".join(str(change[4]) for change in json.loads(page).get("changes", []))
            wrong += [f"{visit.path}: {fault}" for fault in faults(page)]
            wrong += [f"{visit.path}: link to {link}" for link in foreign_links(page)]
            if MARK in page:
                seen.add(visit.path)
            # What is escaped twice is shown as code to people.
            assert "&amp;lt;script" not in page, visit.path

    assert wrong == []
    assert {
        "/",
        "/debate/host/",
        "/debate/host/state/",
        "/debate/host/events/",
        "/debate/host/board/0/",
    } <= seen
    assert any(path.startswith("/shared/") for path in seen)


async def test_no_admin_page_does_either(boss: Caller, world: World) -> None:
    paths = [
        f"/admin/{name}/"
        for name in ("entities/entity", "entities/wake", "entities/timer", "entities/subscription")
    ] + [f"/admin/shared_state/{name}/" for name in ("stream", "eventrecord", "rowrecord")]
    paths += [
        f"/admin/shared_state/eventrecord/{event.pk}/change/"
        async for event in EventRecord.objects.all()[:40]
    ]
    paths += [f"/admin/shared_state/rowrecord/{row.pk}/change/" async for row in RowRecord.objects.all()[:40]]
    paths += [
        f"/admin/entities/entity/{world.host.pk}/change/",
        f"/admin/entities/wake/{world.wake.pk}/change/",
    ]

    for path in paths:
        page = (await boss.get(path)).body.decode()
        assert faults(page) == [], path
        assert "window.evil=" not in page.replace("&lt;", "<") or MARK in page


async def test_no_push_does_either(world: World) -> None:
    from agents_site.asgi import application  # noqa: F401  all views are registered with it

    shown = 0
    for name, frame in FOLLOW.items():
        stream = await Stream.objects.aget(path=frame["stream"])
        info = await in_thread(get_stream_by_id, stream.pk)
        events = await in_thread(read, stream.pk)
        for change in await in_thread(codecs._codecs[name], info, events):
            html = change.html if isinstance(change, changes.Put | changes.Grow) else ""
            shown += MARK in html
            assert faults(html) == [], (name, change)
            assert foreign_links(html) == [], (name, change)

    assert shown > 20


async def test_what_people_search_for_is_text_too(boss: Caller) -> None:
    for path in ("/agents/", "/admin/entities/entity/", "/admin/shared_state/eventrecord/"):
        page = (await boss.get(path, "q=%22%3E%3Cscript%3Ewindow.evil%3D1%3C/script%3E")).body.decode()
        assert faults(page) == []


async def test_a_refusal_does_not_echo_markup(boss: Caller) -> None:
    for path in ("/debate/<script>x</script>/", "/shared/<img src=x onerror=y>/", "/agents/new/<b>/"):
        reply = await boss.get(path)
        assert reply.status == 404
        assert faults(reply.body.decode()) == []
