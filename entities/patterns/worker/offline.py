"""What the offline model says for a worker: a debater at a blackboard, or one who does a task."""

from __future__ import annotations

import re
from typing import Literal

from entities.api import OfflineTurn, Plan, offline_script


@offline_script("worker")
def worker(turn: OfflineTurn) -> Plan | None:
    """A debater if there is a blackboard to write to; otherwise somebody who does a task."""
    if not turn.offers("write_arguments"):
        return None
    if turn.answers:
        last = turn.answers[-1]
        if last.is_error:
            return Plan(text=f"I could not write my argument: {last.content}")
        first = _first_sentence(str(last.arguments["text"]))
        return Plan(text=f"My argument for round {last.arguments['round']} is on the board: {first}")
    number = _number(turn.last)
    side, topic = _side_and_topic(turn)
    opponents = [_unquoted(turn.last)] if "> " in turn.last else []
    row = {
        "key": f"{side}-{number}",
        "side": side,
        "round": number,
        "text": turn.argue(topic, side, number, opponents),
    }
    return Plan(calls=(("write_arguments", row),))


def _first_sentence(markdown: str) -> str:
    """The first sentence that is the writer's own: no quotation, no marks."""
    own = re.sub(r"^>.*$|[*#`]", "", markdown, flags=re.MULTILINE).strip()
    return re.split(r"(?<=[.!?])\s", own, maxsplit=1)[0]


def _number(text: str) -> int:
    found = re.search(r"Round: (\d+)", text)
    return int(found.group(1)) if found else 1


def _side_and_topic(turn: OfflineTurn) -> tuple[Literal["pro", "con"], str]:
    found = re.search(r"You argue (FOR|AGAINST) this: (.+)", turn.system)
    if found is None:
        return "pro", turn.last
    return ("pro" if found.group(1) == "FOR" else "con"), found.group(2).strip()


def _unquoted(text: str) -> str:
    return "\n".join(line[2:] for line in text.splitlines() if line.startswith("> "))
