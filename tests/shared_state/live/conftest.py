"""Fixtures of the live tests."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from shared_state import api
from shared_state.core.types import Event, StreamInfo
from shared_state.html import changes
from shared_state.live import session
from shared_state.live.hub import Hub
from tests.shared_state.live.feeding import (
    a_codec,
    every_event,
)
from tests.shared_state.live.hubs import FarHub


@pytest.fixture
def codec() -> Iterator[str]:
    with a_codec() as name:
        yield name


@pytest.fixture
async def hub(codec: str) -> AsyncIterator[Hub]:
    yield session.hub()
    await session.stop()


@pytest.fixture
async def far_hub(codec: str) -> AsyncIterator[FarHub]:
    made = FarHub()
    yield made
    await made.stop()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """How often the database was read for events, and how often a codec rendered."""
    counts = {"reads": 0, "renders": 0}
    read = api.read

    def counting_read(*args: Any) -> list[Event]:
        counts["reads"] += 1
        return read(*args)

    def counting_codec(stream: StreamInfo, events: Sequence[Event]) -> list[changes.Change]:
        counts["renders"] += 1
        return every_event(stream, events)

    monkeypatch.setattr(api, "read", counting_read)
    with a_codec(counting_codec, "counted"):
        yield counts
