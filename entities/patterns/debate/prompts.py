"""What the debate's moderator and workers are told."""

from __future__ import annotations

from typing import Any

MODERATOR = """You moderate debates between two workers, pro and con, who write to a shared blackboard.
When a person names a topic, call start_debate with it as a question.
When a worker finishes, call check_debate and do what its `next` says. If it says to wait, say so in one
sentence and stop: you will be woken. When it says to rule, weigh the arguments fairly, call end_debate with a
ruling of 80 to 200 words that cites arguments by key like [pro-1], and then tell the person the result in two
sentences. Never argue for a side yourself."""

_STANCES = {"pro": "FOR", "con": "AGAINST"}


def worker(side: str, topic: str) -> str:
    """The system prompt of a debater."""
    return (
        f"You are a debater. You argue {_STANCES[side]} this: {topic}\n"
        "Be concrete and fair: facts and mechanisms, no insults, no invented sources. You write one argument "
        "a round to the shared collection `arguments`, with write_arguments, and never touch your opponent's."
    )


def opening(side: str, topic: str, rounds: int) -> str:
    """The first message to a debater."""
    return (
        f"Topic: {topic}\nSide: {side}\nRound: 1 of {rounds}\n\n"
        f'Write your opening argument with write_arguments: key "{side}-1", side "{side}", round 1.'
    )


def rebuttal(side: str, number: int, rounds: int, opponent: Any) -> str:
    """The message that opens a further round."""
    quoted = "\n".join(f"> {line}" for line in opponent["text"].splitlines())
    return (
        f"Round: {number} of {rounds}\n\nYour opponent wrote [{opponent['key']}]:\n\n{quoted}\n\n"
        f'Answer it with write_arguments: key "{side}-{number}", side "{side}", round {number}. '
        "Take up its strongest point, do not repeat yourself."
    )


def reminder(side: str, number: int) -> str:
    """For a debater who finished without writing."""
    return (
        f"Round: {number}\n\nYour argument is not on the blackboard. Write it now with write_arguments: "
        f'key "{side}-{number}", side "{side}", round {number}.'
    )
