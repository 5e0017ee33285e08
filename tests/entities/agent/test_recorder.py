"""How often a step that is being said is written down: less often while the writer is behind."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from entities.agent import recorder
from entities.agent.model import BlockDelta, BlockStarted
from entities.agent.recorder import StepRecorder
from entities.testing.runtime import configured


class SlowWriter:
    """A session whose appends take a time that the test says; the clock is the writer's."""

    def __init__(self, takes: float) -> None:
        self.now = 0.0
        self.takes = takes
        self.appends: list[tuple[list[str], bool]] = []

    async def append(self, events: Any, run: str, *, background: bool = False) -> None:
        self.appends.append(([event.type for event in events], background))
        self.now += self.takes


@pytest.mark.parametrize(("takes", "pause"), [(0.0, 0.05), (0.01, 0.05), (0.1, 0.4), (1.0, 4.0)])
async def test_the_rate_of_deltas_falls_when_the_writer_is_behind(
    takes: float, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty a second at the most; and never more than a fifth of the time in appends."""
    writer, pauses, waits = SlowWriter(takes), [], asyncio.Semaphore(0)
    recording: Any = StepRecorder(writer, "1.0", 1, [], {})  # type: ignore[arg-type]

    async def wait_for(over: Any, seconds: float) -> None:
        """Note the pause; it is over as soon as more was said."""
        pauses.append(seconds)
        if len(pauses) < 3:
            over.close()
            recording.take(BlockDelta(0, "more "))
            raise TimeoutError
        waits.release()
        await over

    fakes = {
        "wait_for": wait_for,
        **{name: getattr(asyncio, name) for name in ("Event", "create_task", "shield")},
    }
    monkeypatch.setattr(recorder, "asyncio", SimpleNamespace(**fakes))
    monkeypatch.setattr(recorder, "time", SimpleNamespace(monotonic=lambda: writer.now))
    with configured(DELTAS_PER_SECOND=20):
        async with recording:
            recording.take(BlockStarted(0, "text"))
            recording.take(BlockDelta(0, "Hello "))
            await waits.acquire()

    assert pauses == pytest.approx([pause] * 3)
    assert writer.appends[0] == (["step", "text", "text_delta"], False)  # the first words wait for nothing
    assert writer.appends[1:3] == [(["text_delta"], True)] * 2
