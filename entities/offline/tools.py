"""How the offline model uses an agent's tools: which one a message asks for, and what to say of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from entities.offline import intents as patterns
from entities.offline.debate import argue
from entities.offline.phrases import texts
from entities.offline.reading import closest, keywords, mirrored, subject_of
from entities.offline.turn import Turn
from entities.types.script import Answered, Plan

MAX_SHOWN = 1_500
"""How many characters of a tool's answer are repeated."""


def wanted_tool(turn: Turn, said: str) -> Plan | str | None:
    """The call that a message asks for, or words if the tool is missing, or None if it asks for none."""
    for wish in (_debate, _time, _remember, _recall, _worker):
        if found := wish(turn, said):
            return found
    return None


def told(turn: Turn, said: str) -> str:
    """What came of the tools that were called since the person spoke."""
    return "\n\n".join(_told(turn, said, answer) for answer in turn.answers)


def both_sides(turn: Turn, topic: str) -> str:
    """A short debate with oneself."""
    sides = (("For", "pro"), ("Against", "con"))
    parts = [f"#### {name}\n\n{argue(topic, side, 1, (), turn.seed)}" for name, side in sides]  # type: ignore[arg-type]
    return "\n\n".join(parts)


def _call(turn: Turn, tool: str, text: str, thinking: str, **named: str) -> Plan:
    """A call with the text in each parameter that is required and has no value of its own."""
    parameters = turn.tools[tool].parameters
    properties = parameters.get("properties", {})
    arguments: dict[str, Any] = {name: value for name, value in named.items() if name in properties}
    for name in parameters.get("required", ()):
        if name not in arguments and properties.get(name, {}).get("type") == "string":
            arguments[name] = text
    return Plan(thinking=thinking, calls=((tool, arguments),))


def _debate(turn: Turn, said: str) -> Plan | str | None:
    match = patterns.DEBATE.match(said)
    if match is None or re.match(r"(?:work|over|end|go)", match[1]):
        return None
    topic = match[1].strip().strip("\"'\u201c\u201d")
    if not topic:
        return "Gladly. On what? For example: `Debate: should cities ban private cars?`"
    if tool := turn.offers("start_debate"):
        return _call(turn, tool, topic, "They want a debate, and I have a tool that starts one.", topic=topic)
    return (
        "This agent has no tool for a real debate with two workers; an agent of type *debate* has. "
        f"Here is the opening of both sides.\n\n{both_sides(turn, topic)}"
    )


def _time(turn: Turn, said: str) -> Plan | str | None:
    if not patterns.TIME.search(said):
        return None
    if tool := turn.offers("now", "current_time", "clock"):
        return Plan(thinking="They ask for the time: better to look than to guess.", calls=((tool, {}),))
    return "I have no clock: nobody gave me one. An agent with the `now` tool could tell you."


def _remember(turn: Turn, said: str) -> Plan | str | None:
    match = patterns.REMEMBER.match(said)
    if match is None or said.rstrip().endswith("?"):
        return None
    if tool := turn.offers("remember", "save_note", "add_note"):
        fact = match[1].strip()
        return _call(turn, tool, fact[:1].upper() + fact[1:], "They want this kept, and I have notes.")
    return (
        "I have no notes to keep that in: this agent has no such tool. It stays in the conversation, though."
    )


def _recall(turn: Turn, said: str) -> Plan | None:
    tool = turn.offers("recall", "list_notes", "search_notes")
    if not tool or patterns.HISTORY.search(said):
        return None
    if patterns.RECALL.search(said) or patterns.ABOUT_ME.match(said):
        return _call(turn, tool, said, "This may be in my notes; I look before I answer.", query=said)
    return None


def _worker(turn: Turn, said: str) -> Plan | str | None:
    match = patterns.WORKER.match(said)
    if match is None:
        return None
    task = match[1].strip()
    if not task:
        return "What should the worker do? For example: *ask a worker to list what makes a good question*."
    tool = turn.offers("spawn_worker", "spawn")
    if not tool:
        return "I cannot start workers: this agent was given no tool for it."
    name = "-".join(re.findall(r"[a-z0-9]+", " ".join(keywords(task)[:3]))) or "task"
    task = task[:1].upper() + task[1:]
    return _call(
        turn, tool, task, "That is work of its own; a worker can do it meanwhile.", name=name, task=task
    )


def _told(turn: Turn, said: str, answer: Answered) -> str:
    if answer.is_error:
        return f"That did not work. `{answer.name}` says: {answer.content}"
    if teller := TOLD.get(answer.name):
        return teller(said, answer)
    line = turn.fresh([each.format(tool=answer.name) for each in texts("chat")["unknown_tool"]["replies"]])
    return f"{line}\n\n{_readable(answer.content)}"


def _told_time(said: str, answer: Answered) -> str:
    match = re.match(r"(\w+, \d+ \w+ \d{4}), (\d\d:\d\d)\s*(.*)$", answer.content)
    return f"It is **{match[2]}** {match[3]} on {match[1]}." if match else f"It is **{answer.content}**."


def _told_remember(said: str, answer: Answered) -> str:
    note = next((str(value) for value in answer.arguments.values() if value), said)
    shown = mirrored(note).rstrip(".")
    return f"Noted: *{shown}*. Ask me *what do you remember?* at any time, also after a restart."


def _told_recall(said: str, answer: Answered) -> str:
    lines = [line.strip() for line in answer.content.splitlines()]
    notes = [line.lstrip("-*\u2022 ") for line in lines if line[:1] in ("-", "*", "\u2022")]
    if not notes:
        return f"{answer.content} Tell me *remember that …*, and I shall keep it."
    if patterns.ABOUT_ME.match(said):
        found = closest(said, notes)
        if found:
            return f"You told me: *{mirrored(found).rstrip('.')}*."
        return "That is not among my notes. Tell me *remember that …*, and next time I shall know."
    return "This is what I have kept:\n\n" + "\n".join(f"- {note}" for note in notes)


def _told_worker(said: str, answer: Answered) -> str:
    task = str(answer.arguments.get("task") or subject_of(said)).rstrip(".")
    return f"I have put a worker on it: *{task}*. {answer.content} We can go on in the meantime."


def _told_debate(said: str, answer: Answered) -> str:
    topic = str(next(iter(answer.arguments.values()), subject_of(said)))
    topic = topic[:1].upper() + topic[1:]
    return (
        f"**{topic}**\n\nTwo workers will argue it out in rounds, and a moderator will rule. {answer.content}"
    )


TOLD: Mapping[str, Callable[[str, Answered], str]] = {
    "now": _told_time,
    "remember": _told_remember,
    "recall": _told_recall,
    "spawn_worker": _told_worker,
    "start_debate": _told_debate,
}


def _readable(content: str) -> str:
    """A tool's answer as a list if it is one, otherwise as it is."""
    try:
        value = json.loads(content)
    except ValueError:
        return content[:MAX_SHOWN]
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return "\n".join(f"- {each}" for each in value[:30]) or "(nothing)"
    if isinstance(value, dict):
        return "\n".join(f"- **{key}:** {each}" for key, each in list(value.items())[:30]) or "(nothing)"
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)[:MAX_SHOWN]}\n```"
