"""What a life leaves in the log: every field that the reference promises, with its times and its provenance.

The fields stand here as the specification lists them, not as the code does.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from entities.agent.messages import Response, Text, Thinking, ToolCall, Usage
from entities.api import Collection, RunFinished, SharedStateSchema, db, signal, tool
from entities.catalog.events import COLLECTIONS, LOG_ONLY
from entities.testing.runtime import ADA, events, handle_all, rows, spawn
from entities.types.registry import Registry
from shared_state.api import Event, Row

SCHEMA = SharedStateSchema(notes=Collection(type="shared:notes"))
FIELDS = {
    "run": "key status finish_reason wake started_at ended_at",
    "step": "key run_id step_number status finish_reason model_provider model_id duration_ms input_tokens "
    "output_tokens cache_read_tokens cache_write_tokens cost_usd started_at ended_at",
    "text": "key run_id status content started_at ended_at",
    "tool_call": "key run_id step tool_call_id tool_name status args result error duration_ms started_at "
    "ended_at",
    "reasoning": "key run_id status encrypted summary_title started_at ended_at",
    "error": "key error_code message run_id step_id tool_call_id timestamp",
    "inbox": "key from payload message_type mode status position timestamp processed_at cancelled_at",
    "wake": "key source timeout changes finished_child other_children timestamp",
    "entity_created": "key entity_type args parent_url timestamp",
    "signal": "key signal status sender reason payload outcome previous_state new_state handled_at "
    "handled_by timestamp",
    "child_status": "key entity_url entity_type status timestamp",
    "tags": "key value timestamp",
    "manifest": "key kind timestamp",
    "text_delta": "key text_id run_id delta",
    "reasoning_delta": "key reasoning_id run_id delta",
}
NOT_YET = {"entity_stopped"}
"""Nothing ends an agent for good so far."""
ENDED = ("run", "step", "text", "tool_call", "reasoning")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


@pytest.fixture
async def boss(types: Registry) -> str:
    """An agent that did a bit of everything; its address."""

    @types.define("helper")
    async def helper(ctx: Any, wake: Any) -> None:
        await ctx.reply_text("It is done.")

    @types.define("boss", state={"seen": Collection()})
    async def boss(ctx: Any, wake: Any) -> None:
        if wake.type == "wake":
            await ctx.reply_text("Well done.")
            return
        await ctx.spawn("helper", "one", initial_message="Do it.", wake=RunFinished(), tags={"for": "boss"})
        shared = await ctx.mkdb("board", SCHEMA)
        await ctx.observe(db("board"))
        await ctx.set_tag("colour", "blue")

        @tool
        async def note(text: str) -> str:
            """Note it here and on the board."""
            await ctx.state.seen.insert(key="s1", text=text)
            await shared.notes.insert(key="n1", text=text)
            return "noted"

        thought = (Thinking("Hm.", "signed"), ToolCall("toolu_1", "note", {"text": "milk"}))
        answers = [
            Response(thought, "tool_use", Usage(10, 5, 3, 2), "model-1", "test", 0.25),
            Response((Text("Once upon"),), "max_tokens", Usage(1, 1), "model-1", "test", 0.5),
        ]
        await ctx.use_agent("Be brief.", tools=[note], test_responses=answers).run()

    url = await spawn("boss", message="Go.")
    await handle_all()
    await signal(ADA, url, "SIGINT", reason="enough")
    return url


async def everything(url: str) -> dict[str, list[Row]]:
    """All rows of the log's catalogue, by type."""
    return {type: await rows(url, type) for type in FIELDS if type not in LOG_ONLY}


def test_the_fields_of_every_collection_are_checked_here() -> None:
    assert set(FIELDS) - LOG_ONLY == set(COLLECTIONS.values()) - NOT_YET


async def test_every_row_has_every_field(boss: str) -> None:
    found = await everything(boss)

    assert [type for type, there in found.items() if not there] == []
    for type, there in found.items():
        for row in there:
            assert set(FIELDS[type].split()) <= set(row.value), f"{type} {row.key}"
            assert row.value["key"] == row.key
    for delta in await events(boss, "text_delta", "reasoning_delta"):
        assert set(FIELDS[delta.type].split()) <= set(delta.value)


async def test_every_row_says_when(boss: str) -> None:
    for type, there in (await everything(boss)).items():
        for row in there:
            times = [row.value["started_at"], row.value["ended_at"]] if type in ENDED else []
            times = times or [row.value["timestamp"]]
            assert all(MOMENT.fullmatch(moment) for moment in times), f"{type} {row.key}: {times}"
            assert times == sorted(times)


async def test_what_was_measured_is_there(boss: str) -> None:
    found = {type: [row.value for row in there] for type, there in (await everything(boss)).items()}

    assert [step["duration_ms"] >= 0 for step in found["step"]] == [True, True]
    assert [step["cost_usd"] for step in found["step"]] == [0.25, 0.5]
    (call,) = found["tool_call"]
    assert (call["status"], call["args"], call["result"], call["error"]) == (
        "completed",
        {"text": "milk"},
        "noted",
        None,
    )
    assert call["duration_ms"] >= 0
    assert found["tool_call"][0]["step"] == found["step"][0]["key"]
    (reasoning,) = found["reasoning"]
    assert (reasoning["run_id"], reasoning["status"], reasoning["content"]) == ("1.0", "completed", "Hm.")
    (error,) = found["error"]
    assert (error["error_code"], error["run_id"]) == ("max_tokens", "1.0")


async def test_messages_wakes_and_signals_say_what_became_of_them(boss: str) -> None:
    found = {type: [row.value for row in there] for type, there in (await everything(boss)).items()}

    (message,) = found["inbox"]
    assert (message["from"], message["payload"], message["mode"]) == ("user:ada", "Go.", "immediate")
    assert message["status"] == "processed"
    assert message["timestamp"] <= message["processed_at"]
    (wake,) = found["wake"]
    assert wake["source"] == "/helper/one"
    finished = wake["finished_child"]
    assert (finished["url"], finished["type"], finished["run_status"]) == (
        "/helper/one",
        "helper",
        "completed",
    )
    assert (finished["response"], wake["timeout"], wake["changes"]) == ("It is done.", False, [])
    (sent,) = found["signal"]
    assert (sent["signal"], sent["sender"], sent["reason"]) == ("SIGINT", "user:ada", "enough")
    assert (sent["status"], sent["previous_state"], sent["new_state"]) == ("handled", "idle", "idle")
    assert sent["handled_at"]
    assert sent["handled_by"]
    assert [(child["entity_url"], child["status"]) for child in found["child_status"]] == [
        ("/helper/one", "idle")
    ]


async def test_what_was_set_up_is_in_the_manifest(boss: str) -> None:
    found = await everything(boss)

    kinds = {row.key: row.value["kind"] for row in found["manifest"]}
    assert kinds == {
        "child:/helper/one": "child",
        "shared-state:board": "shared-state",
        "source:shared:board": "source",
    }
    child = next(row.value for row in found["manifest"] if row.value["kind"] == "child")
    assert (child["url"], child["entity_type"]) == ("/helper/one", "helper")
    assert {row.key: row.value["value"] for row in found["tags"]} == {"colour": "blue"}
    (created,) = [row.value for row in await rows("/helper/one", "entity_created")]
    assert (created["entity_type"], created["parent_url"]) == ("helper", boss)


def provenance_of(event: Event) -> tuple[str, str, str, str]:
    return event.provenance.writer, event.provenance.wake, event.provenance.run, event.provenance.tool_call


async def test_every_event_says_who_wrote_it_in_which_wake_run_and_call(boss: str) -> None:
    agent = f"agent:{boss}"
    log = await events(boss)

    assert all(event.provenance.writer for event in log)
    handled = {"run", "step", "text", "text_delta", "reasoning", "reasoning_delta", "tool_call", "error"}
    for event in log:
        if event.type in handled:
            assert event.provenance.writer == agent
            assert event.provenance.wake in ("w1", "w2")
    in_a_run = [event for event in log if event.type in handled and event.provenance.wake == "w1"]
    assert {event.provenance.run for event in in_a_run} == {"1.0"}
    (row,) = await events("shared:board")
    assert provenance_of(row) == (agent, "w1", "1.0", "1.0-s1-b1")
    (row,) = await events(boss, "state:seen")
    assert provenance_of(row) == (agent, "w1", "1.0", "1.0-s1-b1")
    assert [provenance_of(event)[0] for event in await events(boss, "entity_created")] == ["user:ada"]
    assert {provenance_of(event)[:2] for event in await events(boss, "tags", "manifest")} == {(agent, "w1")}


async def test_every_event_has_its_wire_form(boss: str) -> None:
    log = await events(boss)
    wired = [event.wire() for event in log]

    for event, wire in zip(log, wired, strict=True):
        assert set(wire) == {"type", "key", "value", "headers"}
        assert {"operation", "offset", "timestamp", "txid", "writer"} <= set(wire["headers"])
        assert wire["headers"]["operation"] in ("insert", "update", "delete")
        assert re.fullmatch(r"\d{16}_\d{16}", wire["headers"]["offset"])
        if event.type in FIELDS:
            assert set(FIELDS[event.type].split()) <= set(wire["value"]), "an update's value is the whole row"
    offsets = [wire["headers"]["offset"] for wire in wired]
    assert offsets == sorted(offsets)
