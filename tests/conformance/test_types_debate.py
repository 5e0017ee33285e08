"""The `debate`: its phases, its rules, and what becomes of it when somebody does not play along."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from entities.agent.messages import Text, ToolCall
from entities.agent.providers import close_providers
from entities.testing.runtime import (
    anthropic,
    configured,
    entity,
    events,
    handle_all,
    spawn,
    tell,
    texts,
    values,
)
from tests.support.anthropic_replies import Reply
from tests.support.anthropic_server import KEY, AnthropicServer

OPEN = ("start_debate", {"topic": "tea or coffee?", "rounds": 1})
CHECK: tuple[str, dict[str, Any]] = ("check_debate", {})
RULING = {"ruling": "Tea, by [pro-1].", "winner": "pro", "cites": ["pro-1"]}


def argument(side: str, number: int = 1) -> tuple[str, dict[str, Any]]:
    """A call that writes an argument."""
    text = f"{side} says {number}"
    return "write_arguments", {"key": f"{side}-{number}", "side": side, "text": text, "round": number}


class Cast:
    """Who says what, in the order of their steps: texts, or calls. Who has no lines left has said all."""

    def __init__(self) -> None:
        self.lines: dict[str, deque[Any]] = {part: deque() for part in ("moderator", "pro", "con")}
        self.heard: dict[str, list[str]] = {part: [] for part in self.lines}
        """What each read of its calls."""

    def give(self, part: str, *lines: Any) -> None:
        """Give somebody lines."""
        self.lines[part].extend(lines)

    def __call__(self, body: Mapping[str, Any]) -> Reply:
        names = {each["name"] for each in body["tools"]}
        prompt = body["system"][0]["text"]
        part = "moderator" if "end_debate" in names else "pro" if "argue FOR" in prompt else "con"
        blocks = body["messages"][-1]["content"]
        self.heard[part] += [block["content"] for block in blocks if block["type"] == "tool_result"]
        line = self.lines[part].popleft() if self.lines[part] else "So be it."
        if isinstance(line, str):
            return Reply([Text(line)])
        name, arguments = line
        return Reply([ToolCall(f"toolu_{len(self.heard[part])}", name, arguments)])


@pytest.fixture
async def cast() -> AsyncIterator[Cast]:
    """A cast, on the other side of the wire."""
    found = Cast()
    with AnthropicServer(found) as server:
        providers = anthropic(KEY, server.url)
        with configured(PROVIDERS=providers, MODEL="claude-sonnet-5-5"):
            yield found
            await close_providers()
    assert [each.refused for each in server.requests if each.refused] == []


async def hold() -> str:
    """Let it be held to its end. Returns its address."""
    url = await spawn("debate", message="Debate: tea or coffee?")
    await handle_all()
    return url


async def phases(url: str) -> list[str]:
    return [event.value["value"] for event in await events(url, "state:status")]


async def written(url: str) -> list[str]:
    return sorted(row["key"] for row in await values(f"shared:debate-{url}", "shared:argument"))


async def test_it_goes_from_idle_over_debating_and_ruling_to_done(cast: Cast) -> None:
    cast.give("pro", argument("pro"))
    cast.give("con", argument("con"))
    cast.give("moderator", OPEN, "It is open.", CHECK, "I wait.", CHECK, ("end_debate", RULING), "Tea wins.")
    url = await hold()

    assert await phases(url) == ["idle", "debating", "ruling", "done"]
    (status,) = await values(url, "state:status")
    assert {name: status[name] for name in RULING} == RULING
    assert status["topic"] == "Tea or coffee?"
    assert await texts(url) == ["It is open.", "I wait.", "Tea wins."]
    assert (await entity(url)).title == "Tea or coffee?"
    assert await written(url) == ["con-1", "pro-1"]


async def test_each_side_answers_what_the_other_wrote(cast: Cast) -> None:
    asked = ("start_debate", {"topic": "tea or coffee?", "rounds": 2})
    for side in ("pro", "con"):
        cast.give(side, argument(side, 1), "Written.", argument(side, 2), "Written.")
    cast.give("moderator", asked, "Open.", CHECK, "Wait.", CHECK, "Next.", CHECK, "Wait.", CHECK)
    cast.give("moderator", ("end_debate", RULING), "Tea wins.")
    url = await hold()

    assert await written(url) == ["con-1", "con-2", "pro-1", "pro-2"]
    for side, other in (("pro", "con"), ("con", "pro")):
        first, second = await values(f"/worker/{url.rsplit('/', 1)[-1]}-{side}", "inbox")
        assert f"{other} says 1" not in first["payload"]
        assert f"> {other} says 1" in second["payload"]
    assert await phases(url) == ["idle", "debating", "ruling", "done"]


async def test_there_is_one_debate_at_a_time(cast: Cast) -> None:
    cast.give("moderator", OPEN, OPEN)
    await hold()

    assert cast.heard["moderator"][1] == "A debate on 'Tea or coffee?' is going on; end it first."


@pytest.mark.parametrize(
    ("ruling", "refused"),
    [
        ({**RULING, "cites": ["pro-7"]}, "There is no argument pro-7; there are con-1, pro-1."),
        ({**RULING, "cites": []}, "Cite at least one argument by its key: con-1, pro-1."),
        ({**RULING, "ruling": "Tea."}, "The ruling does not cite [pro-1]; do, where it rests on it."),
    ],
)
async def test_a_ruling_must_cite_arguments_that_there_are(
    cast: Cast, ruling: dict[str, Any], refused: str
) -> None:
    cast.give("pro", argument("pro"))
    cast.give("con", argument("con"))
    cast.give("moderator", OPEN, "Open.", CHECK, "I wait.", CHECK, ("end_debate", ruling))
    cast.give("moderator", ("end_debate", RULING), "Tea wins.")
    url = await hold()

    assert refused in cast.heard["moderator"]
    assert await phases(url) == ["idle", "debating", "ruling", "done"]


async def test_nothing_can_be_ruled_before_a_debate_or_after_it(cast: Cast) -> None:
    empty = {"ruling": "Nothing.", "winner": "draw", "cites": []}
    cast.give("moderator", ("end_debate", empty))
    url = await hold()

    assert cast.heard["moderator"] == ["There is no debate to rule on; open one with start_debate."]
    assert await phases(url) == ["idle"]


async def test_who_forgets_to_write_is_reminded_once_and_then_forfeits(cast: Cast) -> None:
    cast.give("pro", argument("pro"), "Written.")
    cast.give("moderator", OPEN, "Open.", *[CHECK, "I wait."] * 2)
    cast.give("moderator", CHECK, ("end_debate", RULING), "Tea wins.")
    url = await hold()

    reminders = [value["payload"] for value in await values(f"/worker/{url.rsplit('/', 1)[-1]}-con", "inbox")]
    assert len(reminders) == 2
    assert "not on the blackboard" in reminders[1]
    assert await written(url) == ["pro-1"]
    assert await phases(url) == ["idle", "debating", "ruling", "done"]


async def test_a_second_debate_begins_with_an_empty_board_and_new_workers(cast: Cast) -> None:
    for _ in range(2):
        cast.give("pro", argument("pro"), "Written.")
        cast.give("con", argument("con"), "Written.")
        cast.give("moderator", OPEN, "Open.", CHECK, "I wait.", CHECK, ("end_debate", RULING), "Tea wins.")
    url = await hold()
    await tell(url, "Debate: tea or coffee?")
    await handle_all()

    assert await phases(url) == ["idle", *["debating", "ruling", "done"] * 2]
    assert await written(url) == ["con-1", "pro-1"]
    children = [row["url"] for row in await values(url, "manifest") if row["kind"] == "child"]
    assert len(children) == len(set(children)) == 4
