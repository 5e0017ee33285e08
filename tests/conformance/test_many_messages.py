"""Many messages that waited together: each is shown to the handler and the model, and handled once."""

from __future__ import annotations

from typing import Any

import pytest

from entities.agent import run_state
from entities.agent.messages import ModelRequest
from entities.testing.runtime import handle_all, handle_next, rows, spawn, tell, wakes
from entities.types.registry import Registry
from entities.wakes import cover


class Reader:
    """A type that notes what its handler and its model are shown, wake by wake."""

    def __init__(self, types: Registry) -> None:
        self.handled: list[list[str]] = []
        self.windows: list[str] = []

        @types.define("reads")
        async def reads(ctx: Any, wake: Any) -> None:
            self.handled.append([event.value["payload"] for event in ctx.events if event.type == "inbox"])
            await ctx.use_agent("You read.", test_responses=[self._answer]).run()

    def _answer(self, request: ModelRequest) -> str:
        self.windows.append(request.messages[-1].text)
        return "read"


async def test_each_of_700_messages_is_shown_and_none_is_marked_that_was_not(types: Registry) -> None:
    reader = Reader(types)
    url = await spawn("reads")
    said = [f"message {number:03}." for number in range(700)]
    for text in said:
        await tell(url, text)

    await handle_all()

    assert [text for wake in reader.handled for text in wake] == said
    shown = [[text for text in said if text in window] for window in reader.windows]
    assert shown == reader.handled
    assert all(len(wake) <= cover.MOST_MESSAGES for wake in reader.handled)
    inbox = await rows(url, "inbox")
    assert {row.value["status"] for row in inbox} == {"processed"}
    marked: dict[str, list[str]] = {}
    for row in inbox:
        marked.setdefault(row.provenance.wake, []).append(row.value["payload"])
    assert list(marked.values()) == reader.handled


async def test_long_messages_are_shared_out_by_their_bytes(types: Registry) -> None:
    reader = Reader(types)
    url = await spawn("reads")
    for number in range(12):
        await tell(url, f"{number} " + "x" * 60_000)

    await handle_all()

    assert [len(wake) for wake in reader.handled] == [4, 4, 4]


async def test_messages_beyond_a_wake_wait_while_it_runs_and_have_one_wake_with_later_ones(
    types: Registry,
) -> None:
    reader = Reader(types)
    url = await spawn("reads")
    for number in range(cover.MOST_MESSAGES + 1):
        await tell(url, f"{number}.")

    await handle_next()
    waiting = [row for row in await rows(url, "inbox") if row.value["status"] == "pending"]
    await tell(url, "one more.")
    await handle_all()

    assert [row.value["payload"] for row in waiting] == [f"{cover.MOST_MESSAGES}."]
    assert reader.handled[1] == [f"{cover.MOST_MESSAGES}.", "one more."]
    assert [wake.state for wake in await wakes(url)] == ["done", "done"]


async def test_a_message_that_waited_behind_a_long_run_is_shown(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 20
    monkeypatch.setattr(run_state, "HISTORY", 30)
    windows: list[str] = []
    url = ""

    @types.define("works")
    async def works(ctx: Any, wake: Any) -> None:
        if wake.payload == "work":
            await tell(url, "And this?")  # while it runs
            answers: list[Any] = [[("nothing", {})]] * steps + ["done"]
            await ctx.use_agent("x", max_steps=steps + 1, test_responses=answers).run()
            return

        def answer(request: ModelRequest) -> str:
            windows.append(request.messages[-1].text)
            return "answered"

        await ctx.use_agent("x", test_responses=[answer]).run()

    url = await spawn("works", message="work")
    await handle_all()

    assert windows == ["And this?"]
