"""The `assistant` and the `worker`, over the wire: what they are offered, do, remember and report."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from django.utils import timezone

from entities.agent.messages import Text, ToolCall
from entities.agent.providers import close_providers
from entities.api import InvalidInput, SharedStateSchema
from entities.models import Wake
from entities.patterns.debate.board import SCHEMA
from entities.testing.runtime import (
    anthropic,
    configured,
    entity,
    handle_all,
    handle_next,
    look,
    spawn,
    tell,
    texts,
    values,
    wakes,
)
from shared_state.api import NewEvent, Provenance, submit
from tests.support.anthropic_replies import Reply
from tests.support.anthropic_server import KEY, AnthropicServer

TOOLS = {"now", "remember", "recall", "spawn_worker", "start_debate"}


@pytest.fixture
async def api() -> AsyncIterator[AnthropicServer]:
    """The Messages API; what it is to say is queued."""
    with AnthropicServer() as server:
        providers = anthropic(KEY, server.url)
        with configured(PROVIDERS=providers, MODEL="claude-sonnet-5-5"):
            yield server
            await close_providers()
    assert [each.refused for each in server.requests if each.refused] == []


def calls(*asked: tuple[str, dict[str, Any]]) -> Reply:
    return Reply([ToolCall(f"toolu_{at}", name, args) for at, (name, args) in enumerate(asked)])


def said(text: str) -> Reply:
    return Reply([Text(text)])


def offered(body: Mapping[str, Any]) -> set[str]:
    return {each["name"] for each in body.get("tools", ())}


def results(body: Mapping[str, Any]) -> list[str]:
    """What the model reads of its calls in the newest turn."""
    blocks = body["messages"][-1]["content"]
    return [block["content"] for block in blocks if block["type"] == "tool_result"]


async def test_it_remembers_several_notes_at_once_and_recalls_them_later(api: AnthropicServer) -> None:
    api.add(
        calls(("remember", {"text": "Ada likes tea."}), ("remember", {"text": "Ada has a cat."})),
        said("Noted."),
        calls(("recall", {})),
        said("Tea, and a cat."),
    )
    url = await spawn("assistant", message="I like tea and have a cat.")
    await handle_all()
    await tell(url, "What do you know of me?")
    await handle_all()

    notes = {note["key"]: note["text"] for note in await values(url, "state:notes")}
    assert sorted(notes) == ["note-1", "note-2"]
    assert sorted(notes.values()) == ["Ada has a cat.", "Ada likes tea."]
    assert set(results(api.bodies[-1])[0].splitlines()) == {"- Ada likes tea.", "- Ada has a cat."}


async def test_it_knows_the_time_and_is_offered_its_tools(api: AnthropicServer) -> None:
    api.add(calls(("now", {})), said("Now."))
    await spawn("assistant", message="What time is it?")
    await handle_all()

    assert offered(api.bodies[0]) == TOOLS
    (time,) = results(api.bodies[-1])
    assert time.endswith("UTC")


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("Plan my *trip*\nto Rome", "Plan my trip to Rome"),
        ({"text": "Plan my trip"}, "Plan my trip"),
        ("word " * 20, "word " * 12 + "…"),
    ],
)
async def test_it_titles_its_session_after_the_first_run(
    api: AnthropicServer, message: Any, title: str
) -> None:
    api.add(said("Gladly."), said("Again."))
    url = await spawn("assistant", message=message)
    assert (await entity(url)).title == ""
    await handle_all()
    assert (await entity(url)).title == title
    (listed,) = await values("presence:user:ada", "agent")
    assert listed["title"] == title

    await tell(url, "something else")
    await handle_all()
    assert (await entity(url)).title == title


async def test_it_gives_a_task_to_a_worker_and_is_told_what_it_found(api: AnthropicServer) -> None:
    api.add(calls(("spawn_worker", {"name": "scout", "task": "Find out."})), said("A worker is on it."))
    url = await spawn("assistant", "ada-chat", message="Find something out.")
    await handle_next()

    child = "/worker/ada-chat-scout"
    assert (await entity(child)).parent_id == (await entity(url)).pk
    api.add(said("It is 42."), said("The worker found 42."))
    await handle_all()

    assert await texts(child) == ["It is 42."]
    assert await texts(url) == ["A worker is on it.", "The worker found 42."]
    (wake,) = await values(url, "wake")
    assert wake["finished_child"]["response"] == "It is 42."
    assert offered(api.bodies[2]) == {"now"}


async def test_it_starts_a_debate_and_speaks_up_only_when_it_is_over(api: AnthropicServer) -> None:
    api.add(calls(("start_debate", {"topic": "tea or coffee?"})), said("Watch it."))
    url = await spawn("assistant", "ada-chat", message="Let them debate tea or coffee.")
    await handle_next()
    debate = "/debate/ada-chat-debate-1"
    assert (await entity(debate)).title == "Tea or coffee?"
    assert f"{debate}/board/0/" in results(api.bodies[-1])[0]
    await submit(_forget_messages_of(debate), provenance=Provenance("system:test"))
    api.add(said("It is over: tea."))

    await _set_status(debate, "debating")
    await _fire(url)
    assert await texts(url) == ["Watch it."]
    await _set_status(debate, "done")
    await _fire(url)
    assert await texts(url) == ["Watch it.", "It is over: tea."]


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"system_prompt": ""},
        {"system_prompt": "Work."},
        {"system_prompt": "Work.", "tools": []},
        {"system_prompt": "Work.", "tools": ["shell"]},
        {"system_prompt": "Work.", "tools": ["now"], "shared_db_tool_mode": "all"},
    ],
)
async def test_a_worker_without_prompt_or_anything_to_work_with_is_not_made(args: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="arguments of worker"):
        await spawn("worker", args=args)


@pytest.mark.parametrize(
    ("mode", "tools"),
    [
        ("full", {"write_arguments", "read_arguments", "update_arguments", "delete_arguments"}),
        ("write-only", {"write_arguments"}),
    ],
)
async def test_a_worker_gets_the_tools_that_were_picked_and_nothing_else(
    api: AnthropicServer, mode: str, tools: set[str]
) -> None:
    await _make_shared("board", SCHEMA)
    row = {"key": "pro-1", "side": "pro", "text": "Because.", "round": 1}
    api.add(calls(("write_arguments", row)), said("Written."))
    shared = {"id": "board", "schema": SCHEMA.to_json()}
    args = {"system_prompt": "Argue.", "shared_db": shared, "shared_db_tool_mode": mode, "tools": ["now"]}
    url = await spawn("worker", args={**args, "model": "claude-opus-5-5"}, message="Go.")
    await handle_all()

    first = api.bodies[0]
    assert offered(first) == {"now", *tools}
    assert first["model"] == "claude-opus-5-5"
    write = next(each for each in first["tools"] if each["name"] == "write_arguments")
    assert set(write["input_schema"]["properties"]) == {"key", "side", "text", "round"}
    prompt = first["system"][0]["text"]
    assert prompt.startswith("Argue.")
    assert "report back in a few sentences" in prompt
    assert await values("shared:board", "shared:argument") == [row]
    assert await texts(url) == ["Written."]


async def test_a_worker_whose_schema_disagrees_does_not_start(api: AnthropicServer) -> None:
    await _make_shared("board", SCHEMA)
    other = SCHEMA.to_json()
    other["arguments"]["primary_key"] = "side"
    args = {"system_prompt": "Argue.", "shared_db": {"id": "board", "schema": other}}
    url = await spawn("worker", args=args, message="Go.")
    with configured(MAX_ATTEMPTS=1):
        await handle_all()

    (wake,) = await wakes(url)
    assert wake.state == Wake.State.PARKED
    assert "SchemaMismatch" in wake.error
    assert api.requests == []


# -- helpers


async def _make_shared(id: str, schema: SharedStateSchema) -> None:
    await submit(
        lambda unit: unit.create_stream(f"shared:{id}", "shared", "user:ada", schema=schema.to_json()),
        provenance=Provenance("user:ada"),
    )


def _forget_messages_of(url: str) -> Any:
    """The debate itself does nothing here: the test plays it."""
    return lambda unit: Wake.objects.filter(entity__url=url).delete()


async def _set_status(debate: str, value: str) -> None:
    found = await entity(debate)
    row = NewEvent("state:status", "current", {"key": "current", "value": value}, "upsert")
    await submit(lambda unit: unit.append(found.stream_id, [row]), provenance=Provenance(f"agent:{debate}"))


async def _fire(url: str) -> None:
    """Let the debounce of a wake be over, and handle it."""
    waiting = Wake.objects.filter(entity__url=url, state=Wake.State.PENDING)
    assert await look(waiting.update, due_at=timezone.now()) == 1
    await handle_next()
