"""The agent loop: think, call tools, think again, until the model has nothing left to do.

The log is its only memory. Each round reads what is there and does what is missing: so a run that was cut off
at any point goes on by running the same code again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from entities.agent import run_state
from entities.agent.messages import Message, ModelRequest, Response, ToolSpec
from entities.agent.model import ModelError, ModelRefused, Provider, StepDone
from entities.agent.providers import get_provider
from entities.agent.providers.scripted import ScriptedProvider
from entities.agent.recorder import StepRecorder
from entities.agent.run_state import RunState
from entities.agent.tool_calls import run_calls
from entities.agent.window import Cut, cuts, plainer, size_of, smaller, window
from entities.catalog import log
from entities.catalog.sanitize import said, storable
from entities.conf import conf
from entities.context import AgentConfig, AgentResult, HandlerContext, Session
from entities.exceptions import RunAborted, RunFailed
from entities.types.tool import Tool, index_tools
from shared_state.api import NewEvent, in_thread

MOST_CUTS = 10
"""How often one step is sent again with less; each time it is half as long."""


@dataclass
class _Run:
    """What the steps of the loop share: a run, its provider and tools, its rows as last read."""

    context: HandlerContext
    session: Session
    config: AgentConfig
    key: str
    input: str | None
    provider: Provider
    tools: Mapping[str, Tool]
    data: RunState
    cut: Cut = field(default_factory=Cut)

    @property
    def place(self) -> tuple[int, str]:
        """Whose window it is."""
        return self.session.stream, self.config.model or conf.model

    async def reload(self) -> None:
        """Read the run's own rows again."""
        self.data = await in_thread(run_state.load, self.session.stream, self.key, self.data.before)


async def run_agent(context: HandlerContext, config: AgentConfig, input: str | None) -> AgentResult:
    """Run the loop for a handler. Raises `RunFailed`, `RunAborted`, `ModelUnavailable` and `StaleEpoch`."""
    session, key = context.session, context.next_run()
    wake = session.claimed.wake
    covers = (wake.from_offset, wake.to_offset)
    data = await in_thread(run_state.load, session.stream, key, covers=covers)
    scripted = config.test_responses
    provider = ScriptedProvider(scripted) if scripted is not None else get_provider(config.provider)
    run = _Run(context, session, config, key, input, provider, index_tools(config.tools), data)
    if data.is_open:
        await _begin(run)
        try:
            reason = await _rounds(run)
        except ModelError as error:
            await _failed(run, error)
            raise
        except asyncio.CancelledError:
            if not context.signal.is_set():
                raise  # the worker stops, or lost its lease: the run goes on elsewhere
            await _end(run, "aborted", "Stopped.")
            raise RunAborted from None
        try:
            await _finish(run, reason)
        except RunAborted:  # it was asked to stop before it was over, and has not heard yet
            await _end(run, "aborted", "Stopped.")
            raise
    _require_end(run)
    return _result(run)


def _require_end(run: _Run) -> None:
    """Raise again what was raised when this run failed, if the handler comes by a second time."""
    ended = run.data.run.value if run.data.run is not None else {"status": "failed", "finish_reason": "lost"}
    if ended["finish_reason"] == "aborted":
        raise RunAborted
    if ended["status"] == "failed":
        raise RunFailed(f"Run {run.key} failed: {ended['finish_reason']}.")


async def _begin(run: _Run) -> None:
    known = run.data.run
    if known is not None and known.value["status"] == "started":
        return
    if known is not None:  # it was given up, and its wake retried by hand
        again = {**known.value, "status": "started", "finish_reason": None, "ended_at": None}
        await _write_run(run, log.new("run", run.key, again, "update"))
        return
    started = {
        "status": "started", "wake": run.session.claimed.key, "provider": run.provider.name,
        "started_at": log.iso(timezone.now()),
    }  # fmt: skip
    await _write_run(run, log.new("run", run.key, started))


async def _write_run(run: _Run, event: NewEvent) -> None:
    """Append the run's own row."""
    written = await run.session.append([event], run.key)
    run.data = run_state.with_run(run.data, written[-1])


async def _rounds(run: _Run) -> str:
    """Steps until the model is done. Returns why it ended."""
    for number in range(1, run.config.max_steps + 1):
        step = run.data.step(number)
        if step is None or step.value["status"] != "completed":
            await _think(run, number)
            await run.reload()
            step = run.data.step(number)
        if step is None:
            raise RunFailed(f"Step {number} of run {run.key} was not written.")
        if step.value["finish_reason"] == "refusal":
            return "refusal"  # whatever it wanted to do before it declined is not done
        calls = run.data.calls(number)
        terminate = await run_calls(run.session, run.key, calls, run.tools)
        if calls:
            await run.reload()
        if run.config.on_step_end is not None:
            await run.config.on_step_end(dict(step.value))
        if terminate:
            return "terminated"
        if not calls and step.value["finish_reason"] != "pause":
            return str(step.value["finish_reason"])
        if _was_cut(run, number) and _was_cut(run, number - 1):
            return "max_tokens"  # it was told once what to do, and did the same again
    return "max_steps"


def _was_cut(run: _Run, number: int) -> bool:
    """Whether the limit of a step cut a call off."""
    step, calls = run.data.step(number), run.data.calls(number)
    cut = step is not None and step.value["finish_reason"] == "max_tokens"
    return cut and bool(calls) and calls[-1].value["status"] == "failed" and not calls[-1].value["args"]


async def _think(run: _Run, number: int) -> Response:
    """One step; what the model will not take of the conversation is left out, and that is said."""
    messages, sent = await in_thread(_first_window, run)
    for _ in range(MOST_CUTS):
        try:
            return await _ask(run, number, sent)
        except ModelRefused as error:
            cut = await in_thread(_less, run, messages, error) if error.window else None
            if cut is None:
                raise
            if error.window == "too long":
                cuts.learn(run.place, size_of(sent))
            run.cut = cut
            sent = await in_thread(window, messages, cut)
            await _say_cut(run, error)
            await run.reload()
    return await _ask(run, number, sent)


def _first_window(run: _Run) -> tuple[Sequence[Message], tuple[Message, ...]]:
    """The conversation, and what of it is sent. In a thread: it may be long."""
    messages = run.data.messages(run.session, run.input)
    run.cut = cuts.known(run.place, messages, run.cut)
    return messages, window(messages, run.cut)


def _less(run: _Run, messages: Sequence[Message], error: ModelRefused) -> Cut | None:
    """What is to be tried after a window was refused; `None` if there is nothing left. In a thread."""
    cut = plainer(messages, run.cut) if error.window == "refused" else None
    return cut or smaller(messages, run.cut, whole_texts=error.window == "refused")


async def _say_cut(run: _Run, error: ModelRefused) -> None:
    """Let people know that the model does not see all of the conversation."""
    gone, most = run.cut.turns + run.cut.texts, run.cut.most
    parts = [f"{gone} of its oldest turns left out"] if gone else []
    parts += ["calls written as plain text"] if run.cut.plain else []
    parts += [f"each text cut to {most:,} bytes"] if most else []
    less = ", ".join(parts)
    value = {
        "error_code": "window_cut", "run_id": run.key, "timestamp": log.iso(timezone.now()),
        "message": f"The model did not take the whole conversation. It was sent with {less}. {said(error)}",
    }  # fmt: skip
    await run.session.append([log.new("error", f"{run.key}-window_cut", value, "upsert")], run.key)


async def _ask(run: _Run, number: int, messages: tuple[Message, ...]) -> Response:
    """One model call, written down as it happens."""
    request = _request(run, number, messages)
    spent = run_state.usage(run.data, before=number)
    left, limit = run.data.leftovers(number), run.config.max_tokens
    recording = StepRecorder(run.session, run.key, number, left, spent, limit)
    async with recording as recorder, aclosing(run.provider.stream(request)) as stream:
        async for event in stream:
            if isinstance(event, StepDone):
                await recorder.complete(event.response)
                return event.response
            recorder.take(event)
    raise ModelError("The model's answer ended without an end.")


def _request(run: _Run, number: int, messages: tuple[Message, ...]) -> ModelRequest:
    config, entity = run.config, run.session.entity
    return ModelRequest(
        model=config.model or conf.model,
        system=storable(config.system_prompt),
        messages=messages,
        tools=tuple(ToolSpec(**tool.spec()) for tool in run.tools.values()),
        max_tokens=config.max_tokens,
        thinking=config.thinking,
        timeout=config.timeout,
        max_retries=config.max_retries,
        seed=f"{entity.url}/{run.key}/{number}",
        script=config.script,
        context={"type": entity.type, "args": entity.args, "url": entity.url, "now": log.iso(timezone.now())},
    )


async def _finish(run: _Run, reason: str) -> None:
    """Write down that it ended well. Raises `RunAborted` if it was asked to stop before."""
    if run.data.run is None:
        raise RunFailed(f"Run {run.key} was not begun.")
    ended = {
        **run.data.run.value,
        "status": "completed",
        "finish_reason": reason,
        "ended_at": log.iso(timezone.now()),
    }
    event = log.new("run", run.key, ended, "update")
    written = await run.session.conclude([*_notes(run, reason), event], run.key)
    run.data = run_state.with_run(run.data, written[-1])


def _notes(run: _Run, reason: str) -> list[NewEvent]:
    """What people should know of an end that is not the model's own."""
    steps = [row for row in run.data.own if row.type == "step"]
    detail = steps[-1].value.get("stop_detail") if steps else None
    words = {
        "refusal": f"The model declined to answer{f' ({detail})' if detail else ''}.",
        "max_tokens": detail or f"The answer was cut at {run.config.max_tokens:,} tokens.",
        "max_steps": f"The run was ended after {run.config.max_steps} steps.",
    }.get(reason)
    if words is None:
        return []
    value = {
        "error_code": reason, "message": words, "run_id": run.key,
        "step_id": steps[-1].key if steps else None, "timestamp": log.iso(timezone.now()),
    }  # fmt: skip
    return [log.new("error", f"{run.key}-{reason}", value)]


async def _failed(run: _Run, error: ModelError) -> None:
    """Write down that the model could not be used. Raises `RunFailed` if trying again would not help."""
    if not error.retryable:
        await _end(run, error.code, str(error))
        raise RunFailed(str(error)) from error
    attempt = run.session.claimed.wake.attempts
    now = log.iso(timezone.now())
    value: dict[str, Any] = {
        "error_code": error.code, "message": str(error), "run_id": run.key, "timestamp": now
    }  # fmt: skip
    await run.session.append(
        [log.new("error", f"{run.key}-{error.code}-{attempt}", value, "upsert")], run.key
    )


async def _end(run: _Run, code: str, message: str) -> None:
    """End the run here and now, as failed."""
    await run.reload()
    now = log.iso(timezone.now())
    events = await in_thread(run_state.closing, run.session.stream, run.data, code, message, now)
    await run.session.append(events, run.key)
    await run.reload()


def _result(run: _Run) -> AgentResult:
    data = run.data
    texts = [row.value["content"] for row in data.own if row.type == "text" and row.value.get("content")]
    calls = [dict(row.value) for row in data.own if row.type == "tool_call"]
    reason = data.run.value["finish_reason"] if data.run else ""
    return AgentResult(data.key, "\n\n".join(texts), calls, run_state.usage(data), reason or "")
