"""A page that reads too slowly is told that it lagged; it catches up from its cursor, without gap or double.

The server is real. What stands between it and the page throws frames away and says what the server says to a
socket whose queue is full (see `Hub._lagged`).
"""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.acting import (
    begin,
    cards,
    composer,
    expect_answered,
    expect_ruled,
    normal,
    open_debate,
    wait_for,
)
from tests.browser.world import CODE, TOPIC
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

STATUS_WORDS = {"idle", "running", "waiting", "working"}


class Narrows:
    """Once `passing` patches of some codecs have passed, loses `losing` of them and tells the page so.

    Like the server it sends nothing more of a feed that lagged until the page has asked for it again.
    """

    def __init__(self, page: Page, codecs: set[str], passing: int, losing: int) -> None:
        self.lost: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self._silent: set[tuple[str, str]] = set()
        self._told = False
        self._codecs = codecs
        self._passing = passing
        self._losing = losing
        page.route_web_socket("**/live/", self._opened)

    @property
    def feeds(self) -> set[tuple[str, str]]:
        """Stream and codec of what was lost."""
        return {(read["stream"], read["codec"]) for read in map(json.loads, self.lost)}

    def _opened(self, client: WebSocketRoute) -> None:
        server = client.connect_to_server()

        def upwards(frame: str | bytes) -> None:
            read = json.loads(frame)
            if (read.get("stream"), read.get("codec")) in self._silent:
                self.asked.append(read)
            server.send(frame)

        client.on_message(upwards)
        server.on_message(lambda frame: self._downwards(client, str(frame)))

    def _downwards(self, client: WebSocketRoute, frame: str) -> None:
        read = json.loads(frame)
        if read["op"] == "following":
            self._silent -= {(it["stream"], it["codec"]) for it in self.asked if it["id"] == read["id"]}
        if read["op"] != "patch" or read["codec"] not in self._codecs:
            return client.send(frame)
        if self._told:
            return None if (read["stream"], read["codec"]) in self._silent else client.send(frame)
        if self._passing > 0:
            self._passing -= 1
            return client.send(frame)
        self.lost.append(frame)
        return self._tell(client) if len(self.lost) == self._losing else None

    def _tell(self, client: WebSocketRoute) -> None:
        self._told = True
        self._silent = self.feeds
        for stream, codec in sorted(self.feeds):
            client.send(json.dumps({"op": "lagged", "stream": stream, "codec": codec}))


def test_an_answer_is_whole_though_the_page_lagged(talking: Installation, wide: Page) -> None:
    narrows = Narrows(wide, {"timeline"}, passing=6, losing=5)
    url = begin(wide, talking, CODE)
    wide.evaluate("window.notReloaded = true")
    expect_answered(wide)

    assert len(narrows.lost) == 5
    assert [(asked["stream"], asked["codec"]) for asked in narrows.asked] == [(url, "timeline")]
    # It asked for what came after the last patch that it had, not for everything.
    assert narrows.asked[0]["after"] < json.loads(narrows.lost[0])["cursor"]
    assert wide.evaluate("window.notReloaded") is True
    expect(wide.locator("#connection")).to_be_hidden()
    live = normal(wide, ".timeline")
    wide.reload()
    assert normal(wide, ".timeline") == live
    assert len(live) > 10


def test_a_debate_is_whole_though_all_its_feeds_lagged(talking: Installation, wide: Page) -> None:
    narrows = Narrows(wide, {"panel", "board"}, passing=30, losing=20)
    open_debate(wide, talking, TOPIC)
    wide.evaluate("window.notReloaded = true")
    expect_ruled(wide)

    assert {(asked["stream"], asked["codec"]) for asked in narrows.asked} == narrows.feeds
    assert len(narrows.asked) == len(narrows.feeds) >= 2
    assert wide.evaluate("window.notReloaded") is True
    expect(cards(wide)).to_have_count(4)
    expect(wide.locator(".draft")).to_have_count(0)
    live = settled(wide)
    wide.reload()
    expect_ruled(wide)
    assert settled(wide) == live


def settled(page: Page) -> list[str]:
    """The board without statuses: a worker that finishes after the ruling wakes the moderator once more."""
    lines = normal(page, ".board-region > :not([data-feed])")
    return [line for line in lines if "data-status" not in line and line.strip() not in STATUS_WORDS]


def test_a_page_that_is_too_far_behind_loads_what_it_shows_anew(talking: Installation, wide: Page) -> None:
    """The server answers such a `follow` with `reset`; see `live.follow`."""
    resets: list[int] = []

    def opened(client: WebSocketRoute) -> None:
        server = client.connect_to_server()

        def upwards(frame: str | bytes) -> None:
            read = json.loads(frame)
            if read["op"] == "follow" and read["codec"] == "timeline" and not resets:
                resets.append(read["id"])
                client.send(json.dumps({"op": "reset", "id": read["id"]}))
            else:
                server.send(frame)

        client.on_message(upwards)

    url = begin(wide, talking, "Hello")
    expect_answered(wide)
    composer(wide).fill("half a tho")
    wide.route_web_socket("**/live/", opened)
    wide.reload()
    wide.evaluate("window.notReloaded = true")
    wait_for(wide, "performance.getEntriesByType('resource').some((each) => each.name === location.href)")

    # Live again, from the cursor of what was loaded; what stands around it was left alone.
    expect(composer(wide)).to_have_value("half a tho")
    composer(wide).fill("Thanks!")
    composer(wide).press("Enter")
    expect_answered(wide, runs=2)
    assert len(resets) == 1
    assert wide.evaluate("window.notReloaded") is True
    live = normal(wide, ".timeline")
    wide.goto(f"{talking.url}{url}/")
    assert normal(wide, ".timeline") == live
