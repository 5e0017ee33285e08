"""A page may follow its owner's own stream before there is one: reading makes nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from shared_state.core.types import format_offset
from shared_state.live import session
from shared_state.models import EventRecord, Stream
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
OWN = "list:user:ada"


@pytest.fixture(autouse=True)
async def _live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    settings.SHARED_STATE = {"POLL_SECONDS": 600}
    monkeypatch.setattr(session, "_personal", {"list:"})
    with a_codec():
        yield
    await session.stop()


async def follow(page: Page, path: str = OWN, ident: int = 1, after: str | None = BEGINNING) -> Any:
    await page.say(op="follow", id=ident, stream=path, codec=CODEC, after=after)
    return await page.hear()


async def test_it_begins_with_the_stream_and_is_told_at_once(ada: User) -> None:
    async with open_page(ada) as page:
        assert await follow(page) == {"op": "following", "id": 1, "cursor": BEGINNING}
        assert not await Stream.objects.aexists()
        stream = await make_stream(OWN)
        head = await append(stream, 2)
        assert shown(await page.hear_until(head)) == [1, 2]
        head = await append(stream)
        assert shown(await page.hear_until(head)) == [3]
        assert session.hub()._expected == set()


async def test_streams_of_others_that_come_first_change_nothing(ada: User) -> None:
    async with open_page(ada) as page:
        await follow(page)
        for _ in range(3):
            await append(await make_stream())
        assert shown(await page.hear_until(await append(await make_stream(OWN)))) == [1]


async def test_a_poll_finds_what_no_hint_told(ada: User, settings: Settings) -> None:
    settings.SHARED_STATE = {"POLL_SECONDS": 0.05}

    def make_in_silence() -> None:
        stream = Stream.objects.create(path=OWN, kind="presence", owner="user:ada", head=1)
        EventRecord.objects.create(
            stream=stream, offset=1, type="note", key="a", operation="insert", value={"n": 1},
            timestamp=stream.created_at, writer="user:ada",
        )  # fmt: skip

    async with open_page(ada) as page:
        await follow(page)
        await database(make_in_silence)()
        assert shown(await page.hear_until(1)) == [1]


@pytest.mark.parametrize("path", ["list:user:ben", "list:", "list:user:ada2", "other:user:ada", "/room/1"])
async def test_only_ones_own_is_waited_for(ada: User, path: str) -> None:
    async with open_page(ada) as page:
        assert (await follow(page, path))["code"] == "stream_not_found"


async def test_who_has_seen_some_of_it_is_told_that_it_is_gone(ada: User) -> None:
    async with open_page(ada) as page:
        assert (await follow(page, after=format_offset(3)))["code"] == "stream_not_found"


async def test_a_stream_of_somebody_else_in_its_place_is_not_shown(ada: User) -> None:
    async with open_page(ada) as page:
        await follow(page)
        await append(await make_stream(OWN, owner="user:ben"))
        refused = await page.hear()
        assert (refused["code"], refused["id"]) == ("stream_not_found", 1)


async def test_after_unfollow_nothing_comes(ada: User) -> None:
    other = await make_stream()
    async with open_page(ada) as page:
        await follow(page)
        await page.say(op="unfollow", id=1)
        await follow(page, other.path, ident=2)
        await append(await make_stream(OWN))
        await append(other)
        assert (await page.hear())["stream"] == other.path


async def test_following_again_replaces_and_a_page_that_goes_leaves_nothing(ada: User) -> None:
    async with open_page(ada) as page:
        for ident in (1, 2, 2):
            await follow(page, ident=ident)
        assert [expected.id for expected in session.hub()._expected] == [2]
        stream = await make_stream(OWN)
        assert shown(await page.hear_until(await append(stream))) == [1]
    async with open_page(ada) as page:
        await database(stream_gone)()
        await follow(page)
    assert session.hub()._expected == set()


def stream_gone() -> None:
    Stream.objects.all().delete()


async def test_what_is_expected_counts_among_the_feeds(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MAX_FEEDS", 1)
    other = await make_stream()
    async with open_page(ada) as page:
        await follow(page)
        assert (await follow(page, other.path, ident=2))["code"] == "too_many_feeds"
