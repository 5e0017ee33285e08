"""The offline model's chat uses tools, knows its limits, and does not repeat itself."""

import re

import pytest

from entities.agent.messages import Message, Response, Text, ToolSpec
from entities.offline.provider import OfflineProvider
from tests.entities.agent.asking import answered, request, response_of, user

TEXT = {"type": "string"}


def spec(name: str, *parameters: str) -> ToolSpec:
    schema = {"type": "object", "properties": dict.fromkeys(parameters, TEXT), "required": list(parameters)}
    return ToolSpec(name, f"Does {name}.", schema)


TOOLS = (
    spec("now"), spec("remember", "text"), spec("recall"), spec("spawn_worker", "name", "task"),
    spec("start_debate", "topic"),
)  # fmt: skip


async def say(*texts: str, tools: tuple[ToolSpec, ...] = TOOLS, seed: str = "s") -> Response:
    """The answer to the last of these messages; the others had answers of no interest."""
    earlier = [each for text in texts[:-1] for each in (user(text), Message("assistant", (Text("I see."),)))]
    return await response_of(OfflineProvider(), request(*earlier, user(texts[-1]), tools=tools, seed=seed))


async def after(said: str, result: str, *, is_error: bool = False) -> str:
    """What is said of a tool's result."""
    step = await say("hello", said)
    asked = (
        user("hello"),
        Message("assistant", (Text("Hi."),)),
        user(said),
        Message("assistant", step.blocks),
    )
    answers = answered(step.tool_calls[0].id, result, is_error=is_error)
    return (await response_of(OfflineProvider(), request(*asked, answers, tools=TOOLS))).text


@pytest.mark.parametrize(
    ("said", "tool", "arguments"),
    [
        ("What time is it?", "now", {}),
        ("what's the date today", "now", {}),
        ("Remember that my cat is called Miso", "remember", {"text": "My cat is called Miso"}),
        ("please note: milk is out", "remember", {"text": "Milk is out"}),
        ("What do you remember?", "recall", {}),
        ("what is my cat's name?", "recall", {}),
        (
            "Debate: should cities ban private cars?",
            "start_debate",
            {"topic": "should cities ban private cars?"},
        ),
        ("let's debate tabs vs spaces", "start_debate", {"topic": "tabs vs spaces"}),
        (
            "ask a worker to compare tea and coffee",
            "spawn_worker",
            {"name": "tea-coffee", "task": "Compare tea and coffee"},
        ),
    ],
)
async def test_fitting_tool_is_called(said: str, tool: str, arguments: dict[str, str]) -> None:
    response = await say(said)
    assert [(call.name, dict(call.arguments)) for call in response.tool_calls] == [(tool, arguments)]
    assert response.finish_reason == "tool_use"


@pytest.mark.parametrize(
    "said", ["What time is it?", "Remember that I am tall", "Debate: is tea good?", "ask a worker to sing"]
)
async def test_without_the_tool_it_says_so(said: str) -> None:
    response = await say(said, tools=())
    assert response.tool_calls == ()
    assert re.search(r"no clock|no notes|no tool", response.text)


@pytest.mark.parametrize(
    "said", ["How does a debate work?", "I remember you", "it is high time", "what is life?"]
)
async def test_words_that_only_sound_like_a_wish_call_nothing(said: str) -> None:
    assert (await say(said)).tool_calls == ()


async def test_results_are_told_in_words() -> None:
    assert "**14:03** UTC" in await after("What time is it?", "Saturday, 21 November 2026, 14:03 UTC")
    assert "your cat is called Miso" in await after(
        "Remember that my cat is called Miso", "Remembered as note-1."
    )
    notes = "- My cat is called Miso\n- I live in Graz"
    assert "- I live in Graz" in await after("What do you remember?", notes)
    assert await after("what is my cat called?", notes) == "You told me: *your cat is called Miso*."
    assert "not among my notes" in await after("what is my name?", notes)
    assert "/worker/1" in await after("ask a worker to sing", "/worker/1 is at work.")
    assert "watch it at /debate/1" in await after("Debate: is tea good?", "Runs; watch it at /debate/1/.")


async def test_failed_tool_is_reported_as_failed() -> None:
    assert "did not work" in await after("What time is it?", "The clock is broken.", is_error=True)


async def test_first_answer_alone_says_what_is_speaking_and_how_to_have_a_real_model() -> None:
    assert "ANTHROPIC_API_KEY" in (await say("hello")).text
    assert "ANTHROPIC_API_KEY" not in (await say("hello", "tell me a joke")).text


async def test_it_never_claims_to_be_a_language_model() -> None:
    text = (await say("hello", "are you Claude?")).text
    assert "offline model" in text
    assert "not a language model" in text


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("12*(3+4)", "84"), ("what is 17% of 340?", "57.8"), ("2 to the power of 10", "1,024"),
        ("square root of 2", "1.414214"), ("10 divided by 4", "2.5"), ("1,000 + 1", "1,001"),
        ("1/0", "no value"), ("9**9**9**9", "no value"), ("(-8)**0.5", "no value"),
    ],
)  # fmt: skip
async def test_sums_are_done(said: str, answer: str) -> None:
    assert answer in (await say("hello", said)).text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("How does a wake work?", "written reason to run"),
        ("what is shared state?", "several agents write to"),
        ("what happens if I kill the server?", "Pull the plug"),
        ("how do I write my own agent?", "registry.define"),
        ("how do I use a real model?", "ANTHROPIC_API_KEY"),
        ("what is an agent?", "long-lived"),
    ],
)  # fmt: skip
async def test_it_knows_this_runtime_by_heart(said: str, words: str) -> None:
    assert words in (await say("hello", said)).text


async def test_small_programs_come_as_code() -> None:
    assert "```python\ndef fizzbuzz" in (await say("hello", "write fizzbuzz in python")).text
    assert "def parse_log_files(" in (await say("hello", "write a python function to parse log files")).text


async def test_long_text_is_boiled_down_to_sentences_of_its_own() -> None:
    text = (
        "Rivers made cities rich. " * 3
        + "The weather was fine that day. "
        + "Cities still need rivers today. " * 12
    )
    answer = (await say("hello", text)).text
    assert "main sentences" in answer
    assert "1. " in answer
    assert "**cities**" in answer


async def test_answers_refer_to_what_was_said_before() -> None:
    answer = (await say("My garden gets little light", "what should I plant in the garden?")).text
    assert "what you said before, about *your garden gets little light*" in answer


async def test_history_lists_what_the_person_spoke_about() -> None:
    answer = (
        await say("My garden gets little light", "tell me a joke", "what did we talk about so far?")
    ).text
    assert "1. your garden gets little light" in answer


async def test_same_question_gets_a_new_answer_each_time() -> None:
    messages: list[Message] = []
    answers = []
    for number in range(4):
        messages.append(user("I wonder about the meaning of life"))
        response = await response_of(OfflineProvider(), request(*messages, seed=f"/assistant/1/{number}"))
        messages.append(Message("assistant", response.blocks))
        answers.append(response.text.split("\n\n>")[0])
    assert len(set(answers)) == 4


@pytest.mark.parametrize(
    "said",
    [
        "",
        "   ",
        "???",
        "asdf",
        "{subject}",
        "100%",
        "**bold**",
        "Ünïcödé 你好",
        "a" * 5_000,
        "[x]",
        "why",
        "how?",
    ],
)
async def test_odd_messages_get_an_answer(said: str) -> None:
    assert (await say("hello", said or " ")).text


async def test_news_of_a_worker_is_passed_on() -> None:
    answer = (await say("hello", "[/worker/1-tea finished: completed]\nIt says:\nTea is calmer.")).text
    assert "/worker/1-tea" in answer
    assert "> Tea is calmer." in answer
    assert "failed" in (await say("hello", "[/worker/1 finished: failed]\nReason: no key")).text


async def test_news_of_a_debate_points_to_its_page() -> None:
    answer = (await say("hello", "[1 changes in /debate/7: update status current]")).text
    assert "/debate/7" in answer
    assert "page" in answer


async def test_task_of_another_agent_gets_a_report() -> None:
    task = "[message from /assistant/1]\n{}"
    assert "names what is known already" in (await say(task.format("List what makes a good question"))).text
    report = (await say(task.format("Count the swallows of the village"))).text
    assert "report" in report.lower()
    assert "swallows of the village" in report
