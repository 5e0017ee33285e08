"""The agent loop: runs, steps, texts and their deltas, usage, and how a run ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest

from entities import api
from entities.agent.messages import Response, Text, Thinking, ToolCall, Usage
from entities.agent.model import BlockDelta, BlockStarted, StepDone
from entities.api import RunFailed, tool
from entities.testing.runtime import (
    ADA,
    configured,
    entity,
    events,
    handle_all,
    offline,
    rows,
    spawn,
    tell,
    texts,
    until,
    values,
    wakes,
)
from entities.types.registry import Registry
from shared_state.api import in_thread
from shared_state.models import EventRecord


class Thinker:
    """A type that thinks with the responses it is given; `results` is what its runs returned."""

    def __init__(self, types: Registry, *responses: Any, **options: Any) -> None:
        self.results: list[Any] = []
        self.options = {"test_responses": list(responses), **options}

        @types.define("thinker")
        async def thinker(ctx: Any, wake: Any) -> None:
            try:
                self.results.append(await ctx.use_agent("You think.", **self.options).run())
            except RunFailed as error:
                self.results.append(error)
                raise

    async def think(self, message: str = "think") -> str:
        """Let it think once. Returns its address."""
        url = await spawn("thinker", message=message)
        await handle_all()
        return url


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


def response(*blocks: Any, reason: Any = "end_turn", usage: Usage | None = None) -> Response:
    """A whole response."""
    return Response(tuple(blocks), reason, usage or Usage(), "model-1", "test", 0.25)


async def test_a_run_says_when_it_began_how_it_ended_and_which_wake_it_belongs_to(types: Registry) -> None:
    url = await Thinker(types, "Hello.").think()

    (run,) = await values(url, "run")
    assert (run["key"], run["wake"], run["status"], run["finish_reason"]) == (
        "1.0",
        "w1",
        "completed",
        "end_turn",
    )
    assert run["started_at"] <= run["ended_at"]
    assert [event.value["status"] for event in await events(url, "run")] == ["started", "completed"]


async def test_the_handler_gets_text_calls_usage_and_reason(types: Registry) -> None:
    thinker = Thinker(types, [("add", {"a": 1, "b": 2})], response(Text("Three."), usage=Usage(10, 5, 3, 2)))
    thinker.options["tools"] = [add]
    await thinker.think()

    (result,) = thinker.results
    assert (result.text, result.finish_reason) == ("Three.", "end_turn")
    assert [(call["tool_name"], call["result"]) for call in result.tool_calls] == [("add", "3")]
    assert result.usage == {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_tokens": 3,
        "cache_write_tokens": 2,
        "cost_usd": 0.25,
    }


async def test_usage_and_cost_are_written_with_the_steps_result_and_once(types: Registry) -> None:
    thinker = Thinker(
        types,
        response(ToolCall("t1", "add", {"a": 1, "b": 2}), reason="tool_use", usage=Usage(7, 3)),
        "Three.",
    )
    thinker.options["tools"] = [add]
    url = await thinker.think()

    completed = [event for event in await events(url, "step") if event.value["status"] == "completed"]
    assert [event.value["step_number"] for event in completed] == [1, 2]
    first = completed[0].value
    assert (first["input_tokens"], first["output_tokens"], first["cost_usd"]) == (7, 3, 0.25)
    assert (first["model_provider"], first["model_id"], first["finish_reason"]) == (
        "test",
        "model-1",
        "tool_use",
    )
    at_the_same_moment = [e for e in await events(url) if e.timestamp == completed[0].timestamp]
    assert "tool_call" in {event.type for event in at_the_same_moment}


async def test_the_deltas_of_a_text_are_its_content(types: Registry) -> None:
    long = " ".join(f"word{number}" for number in range(500))
    with configured(DELTAS_PER_SECOND=1000):
        url = await Thinker(types, response(Thinking("Let me see."), Text(long), Text("Bye."))).think()

    assert await deltas(url, "text_delta", "text_id") == {"1.0-s1-b1": long, "1.0-s1-b2": "Bye."}
    assert await deltas(url, "reasoning_delta", "reasoning_id") == {"1.0-s1-b0": "Let me see."}
    assert await texts(url) == [long, "Bye."]


async def test_the_offline_model_speaks_in_pieces_that_join_to_its_text(types: Registry) -> None:
    @types.define("chatter")
    async def chatter(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You chat.").run()

    with configured(PROVIDERS=offline(400), DELTAS_PER_SECOND=100):
        url = await spawn("chatter", message="Tell me something about the sea.")
        await handle_all()

    (text,) = await texts(url)
    ((_, joined),) = (await deltas(url, "text_delta", "text_id")).items()
    assert joined == text
    assert len(await events(url, "text_delta")) > 1


async def test_the_first_words_wait_for_nothing(types: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that begins late, and goes on only when its first words are in the log."""

    class Late:
        name = "late"

        async def stream(self, request: Any) -> AsyncIterator[Any]:
            await until(in_log("step"), "the step")
            yield BlockStarted(0, "text")
            yield BlockDelta(0, "First ")
            await until(in_log("text_delta"), "the first words")
            yield BlockDelta(0, "words.")
            yield StepDone(response(Text("First words.")))

    def in_log(type: str) -> Any:
        return EventRecord.objects.filter(type=type).exists

    monkeypatch.setattr("entities.agent.loop.get_provider", lambda alias: Late())

    @types.define("patient")
    async def patient(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You wait.").run()

    with configured(DELTAS_PER_SECOND=0.001):
        url = await spawn("patient", message="begin")
        await handle_all()

    assert [event.value["delta"] for event in await events(url, "text_delta")] == ["First ", "words."]


async def deltas(url: str, type: str, reference: str) -> dict[str, str]:
    """The joined deltas by the row they belong to; each says how much came before it."""
    joined: dict[str, str] = defaultdict(str)
    for event in await events(url, type):
        row = event.value[reference]
        assert event.value["start"] == len(joined[row])
        joined[row] += event.value["delta"]
    return dict(joined)


async def test_everything_a_run_writes_says_which_run_it_was(types: Registry) -> None:
    thinker = Thinker(types, [("add", {"a": 1, "b": 2})], "Three.", tools=[add])
    url = await thinker.think()

    written = [e for e in await events(url) if e.type in ("step", "text", "text_delta", "tool_call", "run")]
    assert {(event.provenance.run, event.provenance.wake) for event in written} == {("1.0", "w1")}


async def test_several_runs_of_a_wake_are_told_apart(types: Registry) -> None:
    @types.define("twice")
    async def twice(ctx: Any, wake: Any) -> None:
        agent = ctx.use_agent("You think.", test_responses=[lambda request: request.messages[-1].text])
        await agent.run("first question")
        await agent.run("second question")

    url = await spawn("twice", message="go")
    await handle_all()

    assert [run["key"] for run in await values(url, "run")] == ["1.0", "1.1"]
    assert await texts(url) == ["go\n\nfirst question", "second question"]


async def test_the_model_sees_the_conversation_so_far(types: Registry) -> None:
    seen: list[list[tuple[str, str]]] = []

    def look(request: Any) -> str:
        seen.append([(message.role, message.text) for message in request.messages])
        return f"answer {len(seen)}"

    url = await Thinker(types, look).think("first")
    await tell(url, "second")
    await handle_all()

    assert seen == [
        [("user", "first")],
        [("user", "first"), ("assistant", "answer 1"), ("user", "second")],
    ]


async def test_a_message_that_waits_for_its_own_wake_is_not_answered_twice(types: Registry) -> None:
    """It came while another wake was due; that one's model must not see it yet."""
    seen: list[str] = []

    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        def look(request: Any) -> str:
            seen.append(" | ".join(message.text for message in request.messages if message.role == "user"))
            return "ok"

        await ctx.use_agent("You think.", test_responses=[look]).run()

    url = await spawn("boss", message="first")
    await handle_all()
    await in_thread(api.wake_now, ADA, await entity(url))
    await tell(url, "second")
    await handle_all()

    assert seen == ["first", "first | [woken by user:ada]", "first | [woken by user:ada] | second"]


@pytest.mark.parametrize(
    ("reason", "says"),
    [("refusal", "The model declined to answer."), ("max_tokens", "The answer was cut at 16,000 tokens.")],
)
async def test_an_unusual_end_is_said_to_people(types: Registry, reason: str, says: str) -> None:
    url = await Thinker(types, response(Text("Well,"), reason=reason)).think()

    (run,) = await values(url, "run")
    assert (run["status"], run["finish_reason"]) == ("completed", reason)
    (error,) = await values(url, "error")
    assert (error["error_code"], error["message"], error["run_id"]) == (reason, says, "1.0")


async def test_a_paused_answer_is_taken_up_again(types: Registry) -> None:
    url = await Thinker(types, response(Text("First half,"), reason="pause"), "second half.").think()

    assert await texts(url) == ["First half,", "second half."]
    assert [run["finish_reason"] for run in await values(url, "run")] == ["end_turn"]


async def test_a_run_ends_after_its_steps(types: Registry) -> None:
    thinker = Thinker(types, [("add", {"a": 1, "b": 1})], tools=[add], max_steps=3)
    url = await thinker.think()

    assert len(await values(url, "step")) == 3
    assert thinker.results[0].finish_reason == "max_steps"
    assert [error["message"] for error in await values(url, "error")] == ["The run was ended after 3 steps."]


async def test_the_handler_is_told_of_each_step(types: Registry) -> None:
    told: list[int] = []

    async def on_step_end(step: Any) -> None:
        told.append(step["step_number"])

    await Thinker(types, [("add", {"a": 1, "b": 1})], "Two.", tools=[add], on_step_end=on_step_end).think()
    assert told == [1, 2]


async def test_reasoning_is_kept_with_its_signature(types: Registry) -> None:
    url = await Thinker(
        types, response(Thinking("Hm.", signature="sig"), Thinking("", redacted="xyz"), Text("Yes."))
    ).think()

    first, second = await values(url, "reasoning")
    assert (first["content"], first["signature"], first["status"]) == ("Hm.", "sig", "completed")
    assert (second["content"], second["encrypted"]) == ("", "xyz")


async def test_an_unknown_option_is_refused_with_those_there_are(types: Registry) -> None:
    @types.define("careless")
    async def careless(ctx: Any, wake: Any) -> None:
        ctx.use_agent("You think.", temperature=0.5)

    url = await spawn("careless", message="go")
    with configured(MAX_ATTEMPTS=1):
        await handle_all()

    (wake,) = await wakes(url)
    assert "'temperature'" in wake.error
    assert "max_steps" in wake.error


async def test_an_empty_answer_is_a_run_without_texts(types: Registry) -> None:
    url = await Thinker(types, response()).think()

    assert await rows(url, "text") == []
    assert [run["status"] for run in await values(url, "run")] == ["completed"]
