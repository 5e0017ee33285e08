"""What somebody waits for goes before pieces of growing texts, however many were there first."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from entities.lifecycle import inbox
from entities.testing.runtime import entity, said_to, spawn
from entities.types.registry import Registry
from shared_state.api import NewEvent, Provenance, append, submit
from shared_state.write.writer import BACKGROUND_AT_ONCE

HERE = Provenance("system:test")
DELTAS = 5 * BACKGROUND_AT_ONCE


async def test_a_message_is_accepted_before_deltas_that_were_queued_earlier(types: Registry) -> None:
    @types.define("listener")
    async def listener(ctx: Any, wake: Any) -> None:
        """It is there to be told."""

    speaking, told = [await entity(await spawn("listener")) for _ in range(2)]
    entered, leave = threading.Event(), threading.Event()

    def busy(unit: Any) -> None:
        entered.set()
        leave.wait(20)

    working = asyncio.create_task(submit(busy, provenance=HERE))
    await asyncio.to_thread(entered.wait, 20)
    pieces = [NewEvent("text_delta", f"d{number}", {"delta": "x"}, fold=False) for number in range(DELTAS)]
    deltas = [
        asyncio.create_task(append(speaking.stream_id, [piece], provenance=HERE, background=True))
        for piece in pieces
    ]
    await asyncio.sleep(0)  # a turn, in which they are asked for, and one in which they are queued
    await asyncio.sleep(0)
    message = asyncio.create_task(submit(inbox.delivery(told, "user:ada", "hello"), provenance=HERE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leave.set()
    await message
    written = sum(delta.done() for delta in deltas)
    await asyncio.gather(working, *deltas)

    assert written <= BACKGROUND_AT_ONCE
    assert await said_to(told.url) == ["hello"]
