"""The socket of a page: what it answers, to whom, and that nothing a client says ends it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from pytest_django import Settings

from shared_state.core.types import StreamInfo, format_offset
from shared_state.live import session
from shared_state.live.consumers import LiveConsumer
from shared_state.models import Grant, Stream
from tests.shared_state.live.feeding import (
    CODEC,
    Page,
    a_codec,
    append,
    database,
    make_stream,
    open_page,
    shown,
)

BEGINNING = format_offset(0)


@pytest.fixture(autouse=True)
async def _live() -> AsyncIterator[None]:
    with a_codec():
        yield
    await session.stop()


class Watchful(LiveConsumer):
    """Looks at rights again all the time."""

    recheck_seconds = 0.02


async def follow(
    page: Page, stream: StreamInfo, after: str | None = BEGINNING, ident: int = 1
) -> dict[str, Any]:
    await page.say(op="follow", id=ident, stream=stream.path, codec=CODEC, after=after)
    return await page.hear()


async def test_a_page_sees_what_is_appended(ada: User) -> None:
    stream = await make_stream()
    async with open_page(ada) as page:
        assert await follow(page, stream) == {"op": "following", "id": 1, "cursor": BEGINNING}
        head = await append(stream, 3)
        assert shown(await page.hear_until(head)) == [1, 2, 3]


async def test_a_patch_names_stream_view_and_cursor(ada: User) -> None:
    stream = await make_stream()
    async with open_page(ada) as page:
        await follow(page, stream)
        head = await append(stream)
        frame = await page.hear()
    change = frame.pop("changes")[0]
    assert frame == {"op": "patch", "stream": stream.path, "codec": CODEC, "cursor": format_offset(head)}
    assert change[:4] == ["put", "event-1", "log", format_offset(1)]


async def test_without_a_cursor_a_feed_starts_now(ada: User) -> None:
    stream = await make_stream()
    head = await append(stream, 3)
    async with open_page(ada) as page:
        assert (await follow(page, stream, after=None))["cursor"] == format_offset(head)
        assert shown(await page.hear_until(await append(stream))) == [4]


async def test_one_socket_follows_several_streams(ada: User) -> None:
    streams = [await make_stream() for _ in range(3)]
    async with open_page(ada) as page:
        for ident, stream in enumerate(streams):
            await follow(page, stream, ident=ident)
        for stream in streams:
            await append(stream)
        assert {(await page.hear())["stream"] for _ in streams} == {stream.path for stream in streams}


async def test_a_page_that_lost_its_connection_goes_on_from_its_cursor(ada: User) -> None:
    stream = await make_stream()
    async with open_page(ada) as page:
        await follow(page, stream)
        frames = await page.hear_until(await append(stream, 2))
    await append(stream, 3)
    async with open_page(ada) as page:
        await follow(page, stream, after=frames[-1]["cursor"])
        frames += await page.hear_until(await append(stream))
    assert shown(frames) == [1, 2, 3, 4, 5, 6]


async def test_after_unfollow_nothing_more_comes(ada: User) -> None:
    loud, other = await make_stream(), await make_stream()
    async with open_page(ada) as page:
        await follow(page, loud)
        await follow(page, other, ident=2)
        await page.say(op="unfollow", id=1)
        await page.say(op="nothing")  # its answer says that the frame before was served
        await page.hear_op("error")
        await append(loud)
        await append(other)
        assert (await page.hear())["stream"] == other.path


async def test_a_page_that_is_too_far_behind_is_told_to_load_anew(ada: User, settings: Settings) -> None:
    settings.SHARED_STATE = {"CATCH_UP_LIMIT": 2}
    stream = await make_stream()
    await append(stream, 3)
    async with open_page(ada) as page:
        assert await follow(page, stream) == {"op": "reset", "id": 1}


async def test_nobody_gets_a_code_that_says_sign_in() -> None:
    async with open_page() as page:
        assert await page.receive_output(10) == {"type": "websocket.close", "code": 4401}


async def test_somebody_who_was_switched_off_is_nobody(ada: User) -> None:
    ada.is_active = False
    async with open_page(ada) as page:
        assert (await page.receive_output(10))["code"] == 4401


async def test_cleo_hears_the_same_of_adas_stream_as_of_none(ada: User, cleo: User) -> None:
    stream = await make_stream("/diary/secret", owner="user:ada")
    await append(stream)
    async with open_page(cleo) as page:
        real = await follow(page, stream)
        await page.say(op="follow", id=1, stream="/diary/other", codec=CODEC, after=BEGINNING)
        assert real == await page.hear()
        assert real["code"] == "stream_not_found"
        assert "secret" not in real["message"]


async def test_ben_sees_what_he_was_granted(ada: User, ben: User) -> None:
    stream = await make_stream()
    await database(Grant.objects.create)(stream_id=stream.id, principal="user:ben", role="view")
    async with open_page(ben) as page:
        assert (await follow(page, stream))["op"] == "following"


async def test_a_grant_that_ends_ends_the_feed_and_not_the_socket(ada: User, ben: User) -> None:
    lost, kept = await make_stream(), await make_stream()
    grant = await database(Grant.objects.create)(stream_id=lost.id, principal="user:ben", role="view")
    await database(Grant.objects.create)(stream_id=kept.id, principal="user:ben", role="view")
    async with open_page(ben, Watchful) as page:
        await follow(page, lost, ident=1)
        await follow(page, kept, ident=2)
        await database(grant.delete)()
        error = await page.hear()
        assert (error["op"], error["id"], error["code"]) == ("error", 1, "stream_not_found")
        await append(lost)
        await append(kept)
        assert (await page.hear())["stream"] == kept.path


async def test_signing_out_ends_the_socket(ada: User) -> None:
    client = Client()
    await database(client.force_login)(ada)
    key = client.cookies["agents_session"].value
    async with open_page(ada, Watchful, session=SessionStore(key)) as page:
        await follow(page, await make_stream())
        await database(client.logout)()
        assert await page.receive_output(10) == {"type": "websocket.close", "code": 4401}


async def test_a_new_password_ends_the_sockets_of_old_sessions(ada: User) -> None:
    client = Client()
    await database(client.force_login)(ada)
    key = client.cookies["agents_session"].value
    async with open_page(ada, Watchful, session=SessionStore(key)) as page:
        await follow(page, await make_stream())
        ada.set_password("another")
        await database(ada.save)()
        assert (await page.receive_output(10))["code"] == 4401


async def test_in_local_mode_somebody_without_a_session_is_looked_up(ada: User) -> None:
    stream = await make_stream()
    async with open_page(ada, Watchful, session=SessionStore()) as page:
        await follow(page, stream)
        ada.is_active = False
        await database(ada.save)()
        assert (await page.receive_output(10))["code"] == 4401


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed_frame"),
        ("{", "malformed_frame"),
        ("[]", "malformed_frame"),
        ("7", "malformed_frame"),
        ("{}", "unknown_operation"),
        ('{"op": null}', "unknown_operation"),
        ('{"op": ["follow"]}', "unknown_operation"),
        ('{"op": "__class__"}', "unknown_operation"),
        ('{"op": "dance"}', "unknown_operation"),
        ('{"op": "follow"}', "malformed_frame"),
        ('{"op": "follow", "id": "one", "stream": "/a", "codec": "every-event"}', "malformed_frame"),
        ('{"op": "follow", "id": 1, "stream": "/a", "codec": "dance"}', "unknown_codec"),
        (
            '{"op": "follow", "id": 1, "stream": "/a", "codec": "every-event", "after": "41"}',
            "invalid_offset",
        ),
        ('{"op": "follow", "id": 1, "stream": "/a\\u0000b", "codec": "every-event"}', "malformed_frame"),
        ('{"op": "follow", "id": 1, "stream": "/a", "codec": "every-event"}', "stream_not_found"),
        ('{"op": "unfollow"}', "malformed_frame"),
        ("[" * 50_000, "malformed_frame"),
        ('{"op": "' + "x" * 70_000 + '"}', "frame_too_large"),
        ('{"op": "' + "ä" * 35_000 + '"}', "frame_too_large"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_frame_that_cannot_be_served_gets_an_answer_and_the_socket_lives_on(
    ada: User, text: str, code: str
) -> None:
    stream = await make_stream()
    async with open_page(ada) as page:
        await page.send_input({"type": "websocket.receive", "text": text})
        error = await page.hear()
        assert (error["op"], error["code"]) == ("error", code)
        assert error["message"]
        assert (await follow(page, stream))["op"] == "following"


async def test_binary_frames_are_refused(ada: User) -> None:
    async with open_page(ada) as page:
        await page.send_to(bytes_data=b"\x00\xff")
        assert (await page.hear())["code"] == "malformed_frame"


async def test_an_error_carries_the_clients_reference(ada: User) -> None:
    async with open_page(ada) as page:
        await page.say(op="dance", ref="m1")
        assert (await page.hear())["ref"] == "m1"


async def test_one_socket_may_follow_only_so_many_streams(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MAX_FEEDS", 2)
    streams = [await make_stream() for _ in range(3)]
    async with open_page(ada) as page:
        answers = [await follow(page, stream, ident=ident) for ident, stream in enumerate(streams)]
        assert [answer["op"] for answer in answers] == ["following", "following", "error"]
        assert answers[2]["code"] == "too_many_feeds"
        assert (await follow(page, streams[2], ident=0))["op"] == "following", "a number may be used again"


async def test_a_client_that_asks_without_reading_is_not_served_for_ever(ada: User) -> None:
    frames = iter([{"type": "websocket.connect"}, *[{"type": "websocket.receive", "text": "{"}] * 500])
    stuck = asyncio.Event()

    async def receive() -> dict[str, Any]:
        return next(frames)

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            stuck.set()
            await asyncio.Event().wait()

    serving = asyncio.ensure_future(LiveConsumer.as_asgi()({"type": "websocket", "user": ada}, receive, send))
    await stuck.wait()
    for _ in range(1000):
        await asyncio.sleep(0)
    serving.cancel()
    await asyncio.wait({serving})

    assert len(list(frames)) > 400


class Faulty(LiveConsumer):
    """An operation with a fault in it."""

    async def op_divide(self, frame: dict[str, Any]) -> dict[str, Any]:
        return {"op": "ok", "result": 1 // frame["by"]}


async def test_a_fault_of_ours_is_an_answer_too(ada: User, caplog: pytest.LogCaptureFixture) -> None:
    async with open_page(ada, Faulty) as page:
        await page.say(op="divide", by=0, ref="d1")
        error = await page.hear()
        assert (error["code"], error["ref"]) == ("internal_error", "d1")
        assert "division" not in error["message"]
        await page.say(op="divide", by=1)
        assert await page.hear() == {"op": "ok", "result": 1}


async def test_when_the_process_stops_its_sockets_are_told_to_come_back(ada: User) -> None:
    async with open_page(ada) as page:
        await follow(page, await make_stream())
        await session.stop()
        assert await page.receive_output(10) == {"type": "websocket.close", "code": 4012}


async def test_a_socket_that_follows_nothing_is_told_too(ada: User) -> None:
    async with open_page(ada) as page:
        await page.say(op="unfollow", id=1)
        await page.say(op="nothing")
        await page.hear()
        await session.stop()
        assert (await page.receive_output(10))["code"] == 4012


async def test_a_client_that_goes_leaves_nothing_behind(ada: User) -> None:
    stream = await make_stream()
    async with open_page(ada) as page:
        await follow(page, stream)
        assert session.hub()._sources
    assert not session.hub()._sources
    assert not [
        task for task in asyncio.all_tasks() if "LiveConsumer" in repr(task) and not task.cancelling()
    ]


async def test_a_stream_is_deleted_under_the_page(ada: User) -> None:
    stream = await make_stream()
    async with open_page(ada) as page:
        await follow(page, stream)
        await database(Stream.objects.filter(pk=stream.id).delete)()
        await session.hub().poll([stream.id])
        assert orjson.loads(await page.receive_from(10))["code"] == "stream_not_found"
