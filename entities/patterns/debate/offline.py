"""What the offline model says for the debate's moderator: a debate that runs without a key."""

from __future__ import annotations

import json
import re
from typing import Any

from entities.api import OfflineTurn, Plan, offline_script

_SENDER = re.compile(r"^\[message from [^\]]*\]\s*")
_TOPIC = re.compile(r"^\s*debate(?: in (?P<rounds>[1-4]) rounds?)?\s*[:,-]?\s*", re.IGNORECASE)


@offline_script("debate")
def moderator(turn: OfflineTurn) -> Plan:
    """Open, check, rule: whatever the last answer asks for."""
    if turn.answers:
        return _moderator_goes_on(turn)
    begun = turn.called("start_debate")
    said = _SENDER.sub("", turn.last)
    if begun and (said.startswith("[") or not _TOPIC.match(said)):
        return Plan(calls=(("check_debate", {}),))
    asked: dict[str, Any] = {
        "topic": _TOPIC.sub("", said).strip().strip('"') or "Is a debate better than a vote?"
    }
    if (found := _TOPIC.match(said)) and found["rounds"]:
        asked["rounds"] = int(found["rounds"])
    return Plan(text="I will open the debate and call both sides in.", calls=(("start_debate", asked),))


def _moderator_goes_on(turn: OfflineTurn) -> Plan:
    answer = turn.answers[-1]
    if answer.is_error:
        return Plan(text=f"That did not work: {answer.content}")
    if answer.name == "start_debate":
        return Plan(text="The debate is open. I wait for the first arguments.")
    if answer.name == "end_debate":
        arguments = dict(answer.arguments)
        verdict = "It is a draw" if arguments["winner"] == "draw" else f"I rule for **{arguments['winner']}**"
        return Plan(
            text=f"{verdict}. The ruling rests on {', '.join(f'[{key}]' for key in arguments['cites'])}."
        )
    found: dict[str, Any] = json.loads(answer.content)
    if found["phase"] == "ruling" and "arguments" in found:
        text, winner, cites = turn.rule(found["topic"], found["arguments"])
        call = {"ruling": text, "winner": winner, "cites": list(cites)}
        return Plan(text="All arguments are in. I weigh them now.", calls=(("end_debate", call),))
    if found["phase"] != "debating":
        return Plan(text=f"The debate is {found['phase']}. Name a topic to open another: `Debate: …`")
    if "waiting_for" in found:
        return Plan(text=f"Round {found['round']}: waiting for {' and '.join(found['waiting_for'])}.")
    return Plan(text=f"Both sides have written. Round {found['round']} is open: now they answer each other.")
