"""What the offline model says for the built-in types: a debate that runs without a key."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from entities.agent.providers.offline import Plan, Turn, offline_script
from entities.agent.providers.offline_chat import chat
from entities.agent.providers.offline_debate import argue, rule

_SENDER = re.compile(r"^\[message from [^\]]*\]\s*")
_TOPIC = re.compile(r"^\s*debate(?: in (?P<rounds>[1-4]) rounds?)?\s*[:,-]?\s*", re.IGNORECASE)


@offline_script("debate")
def moderator(turn: Turn) -> Plan:
    """Open, check, rule: whatever the last answer asks for."""
    if turn.answers:
        return _moderator_goes_on(turn)
    begun = any("start_debate" in str(message.blocks) for message in turn.messages)
    said = _SENDER.sub("", turn.last)
    if begun and (said.startswith("[") or not _TOPIC.match(said)):
        return Plan(calls=(("check_debate", {}),))
    asked: dict[str, Any] = {
        "topic": _TOPIC.sub("", said).strip().strip('"') or "Is a debate better than a vote?"
    }
    if (found := _TOPIC.match(said)) and found["rounds"]:
        asked["rounds"] = int(found["rounds"])
    return Plan(text="I will open the debate and call both sides in.", calls=(("start_debate", asked),))


def _moderator_goes_on(turn: Turn) -> Plan:
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
        text, winner, cites = rule(found["topic"], found["arguments"])
        call = {"ruling": text, "winner": winner, "cites": list(cites)}
        return Plan(text="All arguments are in. I weigh them now.", calls=(("end_debate", call),))
    if found["phase"] != "debating":
        return Plan(text=f"The debate is {found['phase']}. Name a topic to open another: `Debate: …`")
    if "waiting_for" in found:
        return Plan(text=f"Round {found['round']}: waiting for {' and '.join(found['waiting_for'])}.")
    return Plan(text=f"Both sides have written. Round {found['round']} is open: now they answer each other.")


@offline_script("worker")
def worker(turn: Turn) -> Plan:
    """A debater if there is a blackboard to write to; otherwise somebody who does a task."""
    if not turn.offers("write_arguments"):
        return chat(turn)
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
        "text": argue(topic, side, number, opponents),
    }
    return Plan(calls=(("write_arguments", row),))


def _first_sentence(markdown: str) -> str:
    """The first sentence that is the writer's own: no quotation, no marks."""
    own = re.sub(r"^>.*$|[*#`]", "", markdown, flags=re.MULTILINE).strip()
    return re.split(r"(?<=[.!?])\s", own, maxsplit=1)[0]


def _number(text: str) -> int:
    found = re.search(r"Round: (\d+)", text)
    return int(found.group(1)) if found else 1


def _side_and_topic(turn: Turn) -> tuple[Literal["pro", "con"], str]:
    found = re.search(r"You argue (FOR|AGAINST) this: (.+)", turn.system)
    if found is None:
        return "pro", turn.last
    return ("pro" if found.group(1) == "FOR" else "con"), found.group(2).strip()


def _unquoted(text: str) -> str:
    return "\n".join(line[2:] for line in text.splitlines() if line.startswith("> "))
