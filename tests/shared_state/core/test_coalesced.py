"""Look-ups that are made together: one call for those who ask meanwhile, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from shared_state.core import coalesced
from shared_state.core.coalesced import MOST, Coalesced


class Shelf:
    """What is looked up: texts by number. `open` lets a look-up end."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()

    def look(self, keys: Sequence[int]) -> dict[int, str | Exception]:
        self.calls.append(list(keys))
        assert self.open.wait(10)
        if -1 in keys:
            raise OSError("the shelf is gone")
        return {key: f"book {key}" if key else KeyError(key) for key in keys}


async def until_called(shelf: Shelf, times: int) -> None:
    while len(shelf.calls) < times:
        await asyncio.sleep(0)


async def test_those_who_ask_meanwhile_share_the_next_look_up() -> None:
    shelf = Shelf()
    find = Coalesced(shelf.look)
    shelf.open.clear()
    first = asyncio.create_task(find(1))
    await until_called(shelf, 1)

    others = [asyncio.create_task(find(number)) for number in (2, 3, 2, 4)]
    await asyncio.sleep(0)
    shelf.open.set()

    assert await asyncio.gather(first, *others) == ["book 1", "book 2", "book 3", "book 2", "book 4"]
    assert shelf.calls == [[1], [2, 3, 4]]


async def test_one_that_is_refused_does_not_hurt_the_others() -> None:
    shelf = Shelf()
    find = Coalesced(shelf.look)

    found = await asyncio.gather(find(1), find(0), find(2), return_exceptions=True)

    assert (found[0], found[2]) == ("book 1", "book 2")
    assert isinstance(found[1], KeyError)


async def test_a_look_up_that_fails_fails_for_its_callers_alone() -> None:
    shelf = Shelf()
    find = Coalesced(shelf.look)

    failed = await asyncio.gather(find(-1), find(1), return_exceptions=True)

    assert [type(each) for each in failed] == [OSError, OSError]
    assert await find(1) == "book 1"


async def test_a_caller_who_leaves_takes_nobody_along() -> None:
    shelf = Shelf()
    find = Coalesced(shelf.look)
    shelf.open.clear()
    leaving, staying = asyncio.create_task(find(1)), asyncio.create_task(find(2))
    await until_called(shelf, 1)

    leaving.cancel()
    await asyncio.sleep(0)
    shelf.open.set()

    assert await staying == "book 2"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_one_that_hangs_is_not_waited_for_by_those_who_come_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf()
    find = Coalesced(shelf.look)
    shelf.open.clear()
    hanging = asyncio.create_task(find(1))
    await until_called(shelf, 1)
    monkeypatch.setattr(coalesced, "HANGS", -1.0)

    later = asyncio.create_task(find(2))
    await until_called(shelf, 2)
    shelf.open.set()

    assert [await hanging, await later] == ["book 1", "book 2"]
    assert shelf.calls == [[1], [2]]


async def test_a_look_up_is_bounded() -> None:
    shelf = Shelf()
    find = Coalesced(shelf.look)

    await asyncio.gather(*(find(number) for number in range(1, MOST + 11)))

    assert [len(keys) for keys in shelf.calls] == [MOST, 10]


def test_another_event_loop_asks_for_itself() -> None:
    find = Coalesced(Shelf().look)

    assert [asyncio.run(find(number)) for number in (1, 2)] == ["book 1", "book 2"]


async def test_who_asks_again_at_once_is_answered_again() -> None:
    shelf = Shelf()
    find = Coalesced(shelf.look)

    async with asyncio.timeout(10):
        for number in range(1, 50):
            assert await find(number) == f"book {number}"

    assert len(shelf.calls) == 49
