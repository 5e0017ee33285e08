"""From rows to what goes into the model's window.

The window is a function of the log: a run that goes on after a crash sees exactly what it would have seen.
Messages stand where they were *handled*, not where they arrived: one that waited behind a finished child
comes after it, as the model's answer to it did.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from entities.agent.messages import Block, Message, Text, Thinking, ToolAnswer, ToolCall
from entities.catalog.sanitize import storable
from shared_state.api import Row

TYPES = ("inbox", "wake", "run", "step", "text", "reasoning", "tool_call")
"""The rows that a window is made of."""

LEFT_OUT = "[What was said here was declined by the model, and is left out.]"
"""In place of a turn that was refused: a model that reads it again refuses again, whatever comes after it."""

NO_RESULT = "The call did not finish."
"""What a model reads of a call that came to no result."""


def messages(
    rows: Sequence[Row], *, wake: int, until: int, run: str, input: str | None = None
) -> tuple[Message, ...]:
    """The conversation up to now, for the run `run` of wake number `wake`.

    `until` is the end of the wake's range: later messages wait for their own. Rows come in any order.
    """
    turns: dict[tuple[int, int, int], list[Message]] = defaultdict(list)
    runs = {row.key: row for row in rows if row.type == "run"}
    refused = {key for key, known in runs.items() if known.value.get("finish_reason") == "refusal"} - {run}
    left_out = {_wake_of(runs[key]) for key in refused if _wake_of(runs[key]) < wake}
    for before in left_out:
        turns[before, 0, 0].append(_user(LEFT_OUT))
    for row in rows:
        number = _handled_by(row, wake, until)
        if number is not None and number not in left_out:
            describe = describe_message if row.type == "inbox" else describe_wake
            turns[number, 0, row.created].append(_user(describe(row.value)))
    for key, found in _by_run(rows).items():
        known = runs.get(key)
        if known is not None and key not in refused and (key == run or known.value["status"] != "started"):
            number = _wake_of(known)
            if number <= wake:  # of a wake that is retried later, what came after it is no part
                turns[number, 1, 2 * known.created] += _steps(found, current=key == run)
    if input is not None:
        turns[wake, 1, 2 * runs[run].created - 1].append(_user(input))
    return merged(message for position in sorted(turns) for message in turns[position])


def merged(turns: Iterable[Message]) -> tuple[Message, ...]:
    """Adjacent turns of one role as one; a window begins with a user's turn."""
    result: list[Message] = []
    for turn in turns:
        if not turn.blocks or (not result and turn.role != "user"):
            continue
        if result and result[-1].role == turn.role:
            result[-1] = Message(turn.role, result[-1].blocks + turn.blocks)
        else:
            result.append(turn)
    return tuple(result)


def describe_message(value: Mapping[str, Any]) -> str:
    """A message as the model reads it: people's words as they are, others' with their sender."""
    payload, sender = value["payload"], str(value["from"])
    if isinstance(payload, Mapping) and isinstance(payload.get("text"), str) and len(payload) == 1:
        payload = payload["text"]
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    if kind := value.get("message_type"):
        text = f"({kind}) {text}"
    return text if sender.startswith("user:") else f"[message from {sender.removeprefix('agent:')}]\n{text}"


def describe_wake(value: Mapping[str, Any]) -> str:
    """A wake as the model reads it."""
    child = value.get("finished_child")
    if child:
        lines = [f"[{child['url']} finished: {child['run_status']}]"]
        if child.get("error"):
            lines.append(f"Reason: {child['error']}")
        if child.get("response"):
            lines.append(f"It says:\n{child['response']}")
        if others := value.get("other_children"):
            listed = ", ".join(f"{o['url']} {o['status']}" for o in others)
            more = value.get("more_children")
            lines.append(f"Other workers: {listed}{f' and {more} more' if more else ''}")
        return "\n".join(lines)
    if value.get("timeout"):
        return f"[nothing changed in {value['source']} for the time you set]"
    if changes := value.get("changes"):
        listed = ", ".join(f"{c['kind']} {c['collection']} {c['key']}" for c in changes[:20])
        more = f" and {len(changes) - 20} more" if len(changes) > 20 else ""
        return f"[{len(changes)} changes in {value['source']}: {listed}{more}]"
    return f"[woken by {value['source']}]"


def _handled_by(row: Row, wake: int, until: int) -> int | None:
    """The number of the wake that a message or wake belongs to; `None` for what waits, or is neither."""
    if row.type == "wake":
        number = _number(row.key)
        return number if number <= wake else None
    if row.type != "inbox":
        return None
    if row.value["status"] == "processed":
        number = _number(row.provenance.wake)
        return number if number <= wake else None
    return wake if row.value["status"] == "pending" and row.created < until else None


def _wake_of(run: Row) -> int:
    return _number(run.value.get("wake") or "")


def _number(key: str) -> int:
    digits = key.removeprefix("w")
    return int(digits) if digits.isdigit() else 0


def _by_run(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.type in ("step", "text", "reasoning", "tool_call"):
            found[row.value["run_id"]].append(row)
    return found


def step_of(key: str) -> int:
    """The step number in a key such as `3.0-s2-b1`."""
    return int(key.split("-s", 1)[1].split("-", maxsplit=1)[0])


def _index(key: str) -> int:
    return int(key.rsplit("-b", 1)[1])


def _steps(rows: Sequence[Row], *, current: bool) -> list[Message]:
    """The turns of one run: what the model said in each finished step, and what its tools answered.

    Reasoning goes back only within its own run; providers ask for it there and ignore it later.
    """
    turns: list[Message] = []
    done = {
        row.value["step_number"] for row in rows if row.type == "step" and row.value["status"] == "completed"
    }
    blocks = [row for row in rows if row.type != "step"]
    numbers = sorted({step_of(row.key) for row in blocks})
    for number in numbers:
        if current and number not in done:
            continue
        step = sorted((row for row in blocks if step_of(row.key) == number), key=lambda row: _index(row.key))
        said = tuple(b for row in step if (b := _block(row, current=current)) is not None)
        answers = tuple(
            _answer(row) for row in step if row.type == "tool_call" and row.value["args"] is not None
        )
        turns += [Message("assistant", said), Message("user", answers)]
    return turns


def _block(row: Row, *, current: bool) -> Block | None:
    value = row.value
    if row.type == "text":
        return Text(value["content"]) if value.get("content") else None
    if row.type == "reasoning":
        if not current:
            return None
        return Thinking(
            value.get("content") or "", value.get("signature") or "", value.get("encrypted") or ""
        )
    if value["args"] is None:
        return None
    return ToolCall(value["tool_call_id"], value["tool_name"], value["args"])


def _answer(row: Row) -> ToolAnswer:
    value = row.value
    if value["status"] == "completed":
        return ToolAnswer(value["tool_call_id"], value["result"] or "(no output)")
    return ToolAnswer(value["tool_call_id"], value["error"] or NO_RESULT, is_error=True)


def _user(text: str) -> Message:
    return Message("user", (Text(storable(text)),))
