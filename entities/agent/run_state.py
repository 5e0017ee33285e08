"""What the log says of one run: read once at its start, and again after each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from entities.agent import prompt
from entities.agent.history import histories
from entities.agent.messages import Message
from entities.catalog import log, partial_text
from entities.catalog.sanitize import MAX_COMPLAINT, shortened
from entities.context import Session
from entities.exceptions import RunFailed
from shared_state.api import Event, Json, NewEvent, Row, committed, read, row_of, window
from shared_state.models import RowRecord

HISTORY = 600
"""How many rows before the run may go into its window at the most."""

GIVEN_UP = "handler_failed"
"""Why a run ended whose wake was parked. If somebody retries the wake, the run goes on where it was."""

_OPEN = {"text": "streaming", "reasoning": "streaming"}


@dataclass(frozen=True)
class RunState:
    """A run's own rows, and those before it."""

    key: str
    run: Row | None
    own: list[Row]
    before: list[Row]

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do: it is new, cut off, or given up and retried."""
        value = self.run.value if self.run is not None else {"status": "started"}
        return value["status"] == "started" or value["finish_reason"] == GIVEN_UP

    def step(self, number: int) -> Row | None:
        return next(
            (row for row in self.own if row.type == "step" and row.value["step_number"] == number), None
        )

    def calls(self, number: int) -> list[Row]:
        """The tool calls of a step, in the model's order."""
        found = [
            row
            for row in self.own
            if row.type == "tool_call" and row.value["step"] == f"{self.key}-s{number}"
        ]
        return sorted(found, key=lambda row: int(row.key.rsplit("-b", 1)[1]))

    def messages(self, session: Session, input: str | None) -> tuple[Message, ...]:
        """The window for the next step."""
        wake = session.claimed.wake
        rows = [*self.before, *self.own] + ([self.run] if self.run else [])
        # Only a wake by message answers messages; in any other, those that came by now wait for theirs.
        until = wake.to_offset if wake.reason == wake.Reason.INBOX else 0
        return prompt.messages(rows, wake=wake.number or 0, until=until, run=self.key, input=input)

    def leftovers(self, number: int) -> list[NewEvent]:
        """Deletes for what a step that was cut off left behind; it is said anew, under the same keys."""
        prefix = f"{self.key}-s{number}-b"
        return [NewEvent(row.type, row.key, None, "delete") for row in self.own if row.key.startswith(prefix)]


def with_run(data: RunState, event: Event) -> RunState:
    """What a run is after its own row was written; there is no need to read it again."""
    created, since = (
        (event.offset, event.timestamp) if data.run is None else (data.run.created, data.run.created_at)
    )
    run = Row(
        event.stream, event.type, event.key, event.value, created, event.offset, since, event.timestamp,
        event.provenance,
    )  # fmt: skip
    return replace(data, run=run)


def load(
    stream: int, key: str, before: Sequence[Row] | None = None, *, covers: tuple[int, int] | None = None
) -> RunState:
    """Read a run. `before` is the history of an earlier call, which does not change while the run goes on.

    Without one it is read, for a wake that `covers` a range of the log.
    """
    run = committed.row(stream, "run", key)
    own = _rows_of(stream, run) if run is not None else []
    if before is None:
        found = histories.newest(stream, prompt.TYPES, HISTORY)
        if covers is not None:
            found = _as_covered(stream, found, covers, run)
        prefix = f"{key}-"
        before = [
            row for row in found if not row.key.startswith(prefix) and (row.type, row.key) != ("run", key)
        ]
    return RunState(key, run, own, list(before))


def _as_covered(stream: int, newest: list[Row], covers: tuple[int, int], run: Row | None) -> list[Row]:
    """The history of a wake: what was before its run, without messages beyond its range, but all within it.

    So a run that goes on after a crash, or late, begins with what it began with; and messages that wait
    behind it, however many, do not take the place of its own.
    """
    first, end = covers
    past = [row for row in newest if row.type != "inbox" or row.created < end]
    if len(newest) < HISTORY:
        return past
    if len(past) < len(newest) or run is not None:
        others = [type for type in prompt.TYPES if type != "inbox"]
        before = run.created if run is not None else None
        past = window(stream, before=before, limit=HISTORY, types=others)
        past += window(stream, before=end, limit=HISTORY, types=("inbox",))
        past = sorted(past, key=lambda row: row.created)[-HISTORY:]
    oldest = past[0].created if past else end
    if oldest > first:
        reasons = RowRecord.objects.filter(stream=stream, type__in=("inbox", "wake"))
        missed = reasons.filter(created__gte=first, created__lt=min(end, oldest)).order_by("created")
        past = [*map(row_of, missed), *past]
    return past


def _rows_of(stream: int, run: Row) -> list[Row]:
    """The rows of a run; they all come after its own, so that the log before it is never looked at."""
    after = RowRecord.objects.filter(stream=stream, created__gt=run.created, type__in=prompt.TYPES)
    return [row_of(record) for record in after.filter(key__startswith=f"{run.key}-").order_by("created")]


USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost_usd")
"""What is counted of each step."""


def usage(data: RunState, before: int | None = None) -> dict[str, float]:
    """Tokens and cost of all steps, or of those before one with a number."""
    steps = [row.value for row in data.own if row.type == "step"]
    counted = [step for step in steps if before is None or step["step_number"] < before]
    return {name: sum(step.get(name) or 0 for step in counted) for name in USAGE}


def closing(stream: int, data: RunState, code: str, message: str, moment: str) -> list[NewEvent]:
    """Events that end a run that will not go on: nothing is left streaming, and the run says why."""
    events: list[NewEvent] = []
    for row in data.own:
        value = {name: found for name, found in row.value.items() if name != "key"}
        if row.type in _OPEN and value["status"] == "streaming":
            said = partial_text.raws(read, stream, [row]).get((row.type, row.key), "")
            value |= {"status": "completed", "content": said, "ended_at": moment}
        elif row.type == "tool_call" and value["status"] not in ("completed", "failed"):
            error = shortened(message, MAX_COMPLAINT)
            value |= {"status": "failed", "error": error, "ended_at": moment, **_lasted(value, moment)}
        elif row.type == "step" and value["status"] == "started":
            value |= {"status": "failed", "finish_reason": code, "ended_at": moment, **_lasted(value, moment)}
        else:
            continue
        events.append(log.new(row.type, row.key, value, "update"))
    if data.run is None:
        raise RunFailed(f"There is no run {data.key} to end.")
    ended: Json = {**data.run.value, "status": "failed", "finish_reason": code, "ended_at": moment}
    if code != GIVEN_UP:  # parking the wake says it
        why: dict[str, Any] = {
            "error_code": code, "message": message, "run_id": data.key, "timestamp": moment
        }  # fmt: skip
        events.append(log.new("error", f"{data.key}-{code}", why, "upsert"))
    events.append(log.new("run", data.key, ended, "update"))
    return events


def _lasted(value: Mapping[str, Any], moment: str) -> dict[str, int]:
    if not value.get("started_at"):
        return {}
    took = datetime.fromisoformat(moment) - datetime.fromisoformat(value["started_at"])
    return {"duration_ms": round(took.total_seconds() * 1000)}
