"""The offline model is a provider like any other, and says the same to the same."""

import asyncio
import time
from contextlib import aclosing

import pytest

from entities.agent.messages import Message, Text, Thinking, ToolCall
from entities.agent.model import BlockDelta, BlockEnded, BlockStarted, ModelRefused, StepDone
from entities.offline.provider import OfflineProvider
from entities.offline.turn import Turn
from entities.types.script import OfflineTurn, Plan, offline_script
from tests.entities.agent.asking import SEARCH, answered, events_of, request, response_of, user


@offline_script("test-searcher")
def searcher(turn: OfflineTurn) -> Plan:
    """Search once, then say what was found."""
    if turn.answers:
        return Plan(f"Found: {turn.answers[-1].content}")
    return Plan("I look.", "They want to know something.", (("search", {"query": turn.last}),) * 2)


@offline_script("test-faulty")
def faulty(turn: OfflineTurn) -> Plan:
    return Plan(calls=(("launch", {}),))


ASKED = request(
    user("leases"), tools=(SEARCH,), script="test-searcher", seed="/worker/1/1.0/1", thinking="low"
)


async def test_two_runs_from_the_same_inputs_give_the_same_events() -> None:
    assert await events_of(OfflineProvider(), ASKED) == await events_of(OfflineProvider(), ASKED)


async def test_everything_is_streamed_before_it_is_done() -> None:
    events = await events_of(OfflineProvider(), ASKED)
    done = events[-1]
    assert isinstance(done, StepDone)
    for index, block in enumerate(done.response.blocks):
        deltas = [event.delta for event in events if isinstance(event, BlockDelta) and event.index == index]
        assert BlockEnded(index) in events
        match block:
            case Text(text) | Thinking(text):
                assert "".join(deltas) == text
            case ToolCall():
                assert "".join(deltas) == '{"query": "leases"}'
    kinds = [event.kind for event in events if isinstance(event, BlockStarted)]
    assert kinds == ["thinking", "text", "tool_call", "tool_call"]


async def test_calls_have_ids_of_their_own_that_depend_on_the_seed() -> None:
    first, second = (await response_of(OfflineProvider(), ASKED)).tool_calls
    assert first.id != second.id
    other = await response_of(
        OfflineProvider(), request(*ASKED.messages, tools=(SEARCH,), script="test-searcher", seed="x")
    )
    assert other.tool_calls[0].id != first.id


async def test_thinking_is_shown_only_if_the_request_asks_for_it() -> None:
    quiet = request(user("leases"), tools=(SEARCH,), script="test-searcher", seed="s", thinking="off")
    response = await response_of(OfflineProvider(), quiet)
    assert not any(isinstance(block, Thinking) for block in response.blocks)


async def test_script_sees_the_answers_of_its_tools() -> None:
    step = await response_of(OfflineProvider(), ASKED)
    goes_on = (
        user("leases"),
        Message("assistant", step.blocks),
        answered(step.tool_calls[0].id, "They end."),
    )
    response = await response_of(OfflineProvider(), request(*goes_on, script="test-searcher"))
    assert response.text == "Found: They end."
    assert response.finish_reason == "end_turn"


async def test_response_names_the_offline_model_counts_tokens_and_costs_nothing() -> None:
    response = await response_of(OfflineProvider(), ASKED)
    assert (response.provider, response.model, response.cost_usd) == ("offline", "offline", 0.0)
    assert response.usage.input_tokens > 10
    assert response.usage.output_tokens > 10


async def test_longer_conversation_counts_more_input() -> None:
    short = await response_of(OfflineProvider(), request(user("Hi")))
    long = await response_of(
        OfflineProvider(), request(user("Hi"), Message("assistant", (Text("x" * 400),)), user("Hi"))
    )
    assert long.usage.input_tokens == short.usage.input_tokens + 101


async def test_answer_is_cut_at_the_limit() -> None:
    response = await response_of(OfflineProvider(), request(user("hello"), max_tokens=5))
    assert response.finish_reason == "max_tokens"
    assert 0 < len(response.text) <= 20


async def test_words_come_at_the_given_pace_and_the_first_at_once() -> None:
    started = time.monotonic()
    moments = []
    async with aclosing(OfflineProvider(words_per_second=100).stream(request(user("hello")))) as stream:
        async for event in stream:
            if isinstance(event, BlockDelta):
                moments += [time.monotonic() - started]
            if len(moments) == 11:
                break
    assert moments[0] < 0.05
    assert 0.09 < moments[10] - moments[0] < 0.5


async def test_cancelled_model_stops_at_once() -> None:
    task = asyncio.create_task(events_of(OfflineProvider(words_per_second=1), request()))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_other_tasks_run_while_it_speaks_as_fast_as_it_can() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await events_of(OfflineProvider(), request(user("what can you do?")))
    ticking.cancel()
    assert ticks > 1


async def test_unknown_script_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ModelRefused, match=r"no offline script 'nobody'.*test-searcher"):
        await response_of(OfflineProvider(), request(script="nobody"))


async def test_script_may_call_only_tools_that_were_offered() -> None:
    with pytest.raises(ModelRefused, match=r"calls 'launch', which it was not offered \(search\)"):
        await response_of(OfflineProvider(), request(script="test-faulty", tools=(SEARCH,)))


def test_two_scripts_cannot_have_one_name() -> None:
    def other(turn: OfflineTurn) -> Plan:
        return Plan()

    with pytest.raises(ValueError, match="'test-searcher' is defined in"):
        offline_script("test-searcher")(other)
    assert offline_script("test-searcher")(searcher) is searcher


def test_turn_tells_people_tools_and_steps_apart() -> None:
    call = ToolCall("c1", "search", {"query": "x"})
    turn = Turn.of(
        request(
            user("One"), Message("assistant", (Text("1"),)), user("Two"),
            Message("assistant", (Text("I look"), call)), answered("c1", "nothing", is_error=True),
        )
    )  # fmt: skip
    assert turn.said == ("One", "Two")
    assert (turn.last, turn.step, turn.first) == ("Two", 2, False)
    assert turn.replies == ("1", "I look")
    assert [(answer.name, answer.content, answer.is_error) for answer in turn.answers] == [
        ("search", "nothing", True)
    ]


def test_choice_depends_on_seed_words_and_salt_alone() -> None:
    def choices(seed: str, said: str) -> list[int]:
        turn = Turn.of(request(user(said), seed=seed))
        return [turn.choose(range(1_000), salt) for salt in ("a", "b")]

    assert choices("s", "Hi") == choices("s", "Hi")
    assert len({*choices("s", "Hi"), *choices("t", "Hi"), *choices("s", "Ho")}) == 6


def test_fresh_phrase_is_one_that_was_not_said_yet() -> None:
    said = Message("assistant", (Text("Good day."),))
    turn = Turn.of(request(user("Hi"), said, user("Hi")))
    assert {turn.fresh(["Good day.", "Hello."], str(salt)) for salt in range(10)} == {"Hello."}
    assert turn.fresh(["Good day."]) == "Good day."
