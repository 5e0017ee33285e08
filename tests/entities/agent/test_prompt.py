"""What goes into a model's window: everything once, where it was handled, results beside their calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from entities.agent.messages import Message, Text, Thinking, ToolAnswer, ToolCall
from entities.agent.prompt import LEFT_OUT, describe_message, describe_wake, merged, messages
from shared_state.api import Provenance, Row

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class Log:
    """Rows as a log would hold them, each created after the one before."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, type: str, key: str, by: str = "", **value: Any) -> Log:
        """One more row; the wake `by` wrote it last."""
        offset = len(self.rows) + 1
        provenance = Provenance("user:ada", by)
        self.rows.append(Row(1, type, key, value, offset, offset, MOMENT, MOMENT, provenance))
        return self

    def message(self, text: Any, *, handled_by: str = "", sender: str = "user:ada") -> Log:
        """A message, waiting or handled."""
        status = "processed" if handled_by else "pending"
        value = {"from": sender, "payload": text, "status": status}
        return self.add("inbox", f"m{len(self.rows)}", handled_by, **value)

    def woken(self, key: str, source: str = "/worker/x") -> Log:
        """A wake that is no message."""
        return self.add("wake", key, key, source=source)

    def run(self, key: str, wake: str, status: str = "completed", reason: str = "") -> Log:
        """A run."""
        return self.add("run", key, wake, wake=wake, status=status, finish_reason=reason)

    def step(
        self, run: str, number: int, *blocks: tuple[str, dict[str, Any]], status: str = "completed"
    ) -> Log:
        """A step with its blocks."""
        self.add("step", f"{run}-s{number}", run_id=run, step_number=number, status=status)
        for index, (type, value) in enumerate(blocks):
            self.add(type, f"{run}-s{number}-b{index}", run_id=run, **value)
        return self

    def window(
        self, *, wake: int, until: int | None = None, run: str = "", **more: Any
    ) -> list[tuple[str, str]]:
        """Role and text of each turn."""
        found = self.messages(wake=wake, until=until, run=run, **more)
        return [(message.role, message.text) for message in found]

    def messages(
        self, *, wake: int, until: int | None = None, run: str = "", **more: Any
    ) -> tuple[Message, ...]:
        """The turns."""
        end = len(self.rows) + 1 if until is None else until
        return messages(self.rows, wake=wake, until=end, run=run, **more)


def text(content: str) -> tuple[str, dict[str, Any]]:
    """A text block."""
    return "text", {"content": content}


def call(id: str, result: str | None = None, **more: Any) -> tuple[str, dict[str, Any]]:
    """A tool call, with its result if there is one."""
    status = "completed" if result is not None else "executing"
    known = {"tool_call_id": id, "tool_name": "look", "args": {"at": id}, "error": None}
    return "tool_call", {**known, "status": status, "result": result, **more}


def test_the_conversation_is_in_its_order() -> None:
    log = Log().message("first", handled_by="w1").run("1.0", "w1").step("1.0", 1, text("one"))
    log.message("second").run("2.0", "w2", "started")

    assert log.window(wake=2, run="2.0") == [("user", "first"), ("assistant", "one"), ("user", "second")]


def test_a_message_stands_where_it_was_handled_not_where_it_arrived() -> None:
    """It came while a worker's report was being handled, and was answered after that."""
    log = Log().message("go", handled_by="w1").run("1.0", "w1").step("1.0", 1, text("went"))
    log.woken("w2").message("and this?", handled_by="w3")
    log.run("2.0", "w2").step("2.0", 1, text("the worker is done"))
    log.run("3.0", "w3").step("3.0", 1, text("that too"))

    said = [content for _, content in log.window(wake=3, run="3.0")]
    assert said == [
        "go",
        "went",
        "[woken by /worker/x]",
        "the worker is done",
        "and this?",
        "that too",
    ]


def test_messages_beyond_the_wakes_range_wait() -> None:
    log = Log().message("first").message("second")

    assert log.window(wake=1, until=2) == [("user", "first")]
    assert log.window(wake=1, until=3) == [("user", "first\n\nsecond")]


def test_a_wake_that_is_no_message_answers_none() -> None:
    log = Log().woken("w1").message("wait for me")

    assert log.window(wake=1, until=0) == [("user", "[woken by /worker/x]")]


def test_a_wake_that_is_retried_later_sees_what_it_saw_then() -> None:
    log = Log().message("first").message("second", handled_by="w2")
    log.run("2.0", "w2").step("2.0", 1, text("answer to the second"))

    assert log.window(wake=1, until=2) == [("user", "first")]


def test_a_withdrawn_message_is_not_seen() -> None:
    log = Log().add("inbox", "m", **{"from": "user:ada", "payload": "forget it", "status": "cancelled"})

    assert log.window(wake=1) == []


def test_results_stand_beside_their_calls() -> None:
    log = Log().message("look").run("1.0", "w1", "started")
    log.step("1.0", 1, text("I look."), call("a", "left"), call("b", "right")).step("1.0", 2, text("Both."))

    window = log.messages(wake=1, run="1.0")

    assert [message.role for message in window] == ["user", "assistant", "user", "assistant"]
    assert window[1].blocks == (
        Text("I look."),
        ToolCall("a", "look", {"at": "a"}),
        ToolCall("b", "look", {"at": "b"}),
    )
    assert window[2].blocks == (ToolAnswer("a", "left"), ToolAnswer("b", "right"))


def test_every_call_has_an_answer_whatever_became_of_it() -> None:
    """Providers refuse a window in which a call has none."""
    log = Log().message("look", handled_by="w1").run("1.0", "w1", "failed")
    failed = call("a", status="failed", error="No light.")
    log.step("1.0", 1, failed, call("b"), call("c", ""))

    answers = log.messages(wake=2, run="2.0")[2].blocks
    assert answers == (
        ToolAnswer("a", "No light.", is_error=True),
        ToolAnswer("b", "The call did not finish.", is_error=True),
        ToolAnswer("c", "(no output)"),
    )


def test_blocks_stand_in_the_models_order_however_many_there_are() -> None:
    log = Log().message("count").run("1.0", "w1", "started")
    log.step("1.0", 1, *(text(f"{number};") for number in range(12)))
    log.rows.reverse()

    (_, said) = log.window(wake=1, run="1.0")[1]
    assert said.replace("\n", "") == "".join(f"{number};" for number in range(12))


def test_reasoning_is_seen_in_its_own_run_only() -> None:
    thought = ("reasoning", {"content": "Hm.", "signature": "sig", "encrypted": None})
    log = (
        Log()
        .message("think", handled_by="w1")
        .run("1.0", "w1", "started")
        .step("1.0", 1, thought, text("Yes."))
    )

    now = log.messages(wake=1, run="1.0")[1].blocks
    later = log.messages(wake=2, run="2.0")
    assert now == (Thinking("Hm.", "sig", ""), Text("Yes."))
    assert all(message.role == "user" for message in later)

    log.rows[1] = Row(
        1, "run", "1.0", {"wake": "w1", "status": "completed"}, 2, 9, MOMENT, MOMENT, Provenance("x")
    )
    assert log.messages(wake=2, run="2.0")[1].blocks == (Text("Yes."),)


def test_a_step_of_this_run_that_was_cut_off_is_not_seen() -> None:
    log = Log().message("speak").run("1.0", "w1", "started")
    log.step("1.0", 1, text("whole")).step("1.0", 2, text("hal"), status="started")

    assert log.window(wake=1, run="1.0") == [("user", "speak"), ("assistant", "whole")]


def test_what_an_earlier_run_said_before_it_was_stopped_is_seen() -> None:
    log = Log().message("speak", handled_by="w1").run("1.0", "w1", "failed")
    log.step("1.0", 1, text("Once upon"), status="failed").message("go on")

    assert log.window(wake=2, run="2.0") == [
        ("user", "speak"),
        ("assistant", "Once upon"),
        ("user", "go on"),
    ]


def test_a_turn_that_was_refused_is_left_out_of_later_windows() -> None:
    """The API refuses everything that is said after it, as long as the window holds it."""
    log = Log().message("fine", handled_by="w1").run("1.0", "w1").step("1.0", 1, text("answer"))
    log.message("bad", handled_by="w2").message("worse", handled_by="w2")
    log.run("2.0", "w2", reason="refusal").step("2.0", 1, text("Well,"))
    log.message("good").run("3.0", "w3", "started")

    assert log.window(wake=3, run="3.0") == [
        ("user", "fine"),
        ("assistant", "answer"),
        ("user", f"{LEFT_OUT}\n\ngood"),
    ]


def test_of_a_wake_that_goes_on_after_a_refusal_only_the_refused_run_is_left_out() -> None:
    log = Log().message("go").run("1.0", "w1", reason="refusal").step("1.0", 1, text("Well,"))
    log.run("1.1", "w1", "started")

    assert log.window(wake=1, run="1.1", input="and now?") == [("user", "go\n\nand now?")]


def test_the_input_of_a_run_comes_before_what_the_run_says() -> None:
    log = Log().message("go").run("1.0", "w1").step("1.0", 1, text("first"))
    log.run("1.1", "w1", "started").step("1.1", 1, text("second"))

    assert log.window(wake=1, run="1.1", input="and now?") == [
        ("user", "go"),
        ("assistant", "first"),
        ("user", "and now?"),
        ("assistant", "second"),
    ]


def test_turns_of_one_role_are_one_and_the_first_is_a_persons() -> None:
    turns = [
        Message("assistant", (Text("I begin"),)),
        Message("user", (Text("a"),)),
        Message("user", ()),
        Message("user", (Text("b"),)),
        Message("assistant", (Text("c"),)),
    ]

    assert merged(turns) == (Message("user", (Text("a"), Text("b"))), Message("assistant", (Text("c"),)))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"from": "user:ada", "payload": "Hello"}, "Hello"),
        ({"from": "user:ada", "payload": {"text": "Hello"}}, "Hello"),
        ({"from": "user:ada", "payload": {"text": "Hello", "n": 1}}, '{"text": "Hello", "n": 1}'),
        ({"from": "agent:/worker/x", "payload": "Done"}, "[message from /worker/x]\nDone"),
        ({"from": "user:ada", "payload": [1], "message_type": "add"}, "(add) [1]"),
    ],
)
def test_a_message_is_read_as_it_was_written(value: dict[str, Any], read: str) -> None:
    assert describe_message(value) == read


@pytest.mark.parametrize(
    ("value", "begins"),
    [
        (
            {
                "source": "/w/x",
                "finished_child": {"url": "/w/x", "run_status": "completed", "response": "42"},
            },
            "[/w/x finished: completed]\nIt says:\n42",
        ),
        (
            {"source": "/w/x", "finished_child": {"url": "/w/x", "run_status": "failed", "error": "aborted"}},
            "[/w/x finished: failed]\nReason: aborted",
        ),
        (
            {
                "source": "/w/x",
                "finished_child": {"url": "/w/x", "run_status": "completed"},
                "other_children": [{"url": "/w/y", "status": "running"}],
            },
            "[/w/x finished: completed]\nOther workers: /w/y running",
        ),
        (
            {
                "source": "/w/x",
                "finished_child": {"url": "/w/x", "run_status": "completed"},
                "other_children": [{"url": "/w/y", "status": "running"}],
                "more_children": 71,
            },
            "[/w/x finished: completed]\nOther workers: /w/y running and 71 more",
        ),
        ({"source": "shared:b", "timeout": True}, "[nothing changed in shared:b for the time you set]"),
        (
            {"source": "shared:b", "changes": [{"kind": "insert", "collection": "notes", "key": "n1"}]},
            "[1 changes in shared:b: insert notes n1]",
        ),
        ({"source": "user:ada"}, "[woken by user:ada]"),
    ],
)
def test_a_wake_says_why(value: dict[str, Any], begins: str) -> None:
    assert describe_wake(value) == begins
