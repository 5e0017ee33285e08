"""Work that is published as a run without a model, so that observers hear of it."""

from __future__ import annotations

from types import TracebackType
from typing import Literal, Self

from django.utils import timezone

from entities.catalog import log
from entities.context.session import Session
from entities.lookups import WAKES
from entities.wakes.lease import require_uninterrupted
from shared_state.api import Needs, Unit, Verb


class RunHandle:
    """A run in the making. Leaving an `async with` ends it: completed, or failed with what was raised."""

    def __init__(self, session: Session, key: str) -> None:
        self._session = session
        self.key = key
        self._texts: list[str] = []
        self._started = log.iso(timezone.now())
        self._ended = False

    def attach_response(self, text: str) -> None:
        """What the run says; observers get it as its response."""
        self._texts.append(text)

    async def end(
        self, status: Literal["completed", "failed"] = "completed", *, reason: str | None = None
    ) -> None:
        """Publish the run. A second call changes nothing.

        Raises `RunAborted` for one that is completed, but was asked to stop before.
        """
        if self._ended:
            return
        self._ended = True
        wake, now = self._session.claimed.key, log.iso(timezone.now())
        started = {"status": "started", "wake": wake, "started_at": self._started}
        ended = {**started, "status": status, "finish_reason": reason or status, "ended_at": now}
        events = [log.new("run", self.key, started, "upsert")]
        for number, text in enumerate(self._texts):
            said = {
                "run_id": self.key, "status": "completed", "content": text, "started_at": now, "ended_at": now
            }  # fmt: skip
            events.append(log.new("text", f"{self.key}-s1-b{number}", said, "upsert"))
        if status == "failed":
            error = {
                "error_code": "run_failed",
                "message": reason or "failed",
                "run_id": self.key,
                "timestamp": now,
            }
            events.append(log.new("error", f"{self.key}-error", error, "upsert"))
        events.append(log.new("run", self.key, ended, "update"))

        def operation(unit: Unit) -> None:
            known = unit.row(self._session.stream, "run", self.key)
            # The wake may come by again: what ended well stays so, and what failed may end well after all.
            if known is None or known.value["status"] not in ("completed", status):
                if status == "completed":
                    require_uninterrupted(unit, self._session.claimed)
                unit.append(self._session.stream, events)

        stream, claimed = self._session.stream, self._session.claimed
        # Whom it wakes depends on what woke it: see `receivers`.
        places = ((stream, "wake", claimed.key), *((stream, event.type, event.key) for event in events))
        needs = Needs((stream,), rows=places, lookups=((WAKES, claimed.wake.pk),))
        await self._session.change(Verb(operation, needs))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            await self.end("failed", reason=f"{type(error).__name__}: {error}")
        elif error is None:
            await self.end()
