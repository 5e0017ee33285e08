"""`assistant`: chat with a memory, that can put others to work."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel

from entities.api import (
    Change,
    Collection,
    HandlerContext,
    RunFinished,
    State,
    Tool,
    WakeEvent,
    entity,
    now,
    registry,
    tool,
)

from .prompts import ASSISTANT


class Note(BaseModel):
    """Something to remember."""

    key: str
    text: str


class AssistantState(State):
    """What an assistant keeps."""

    notes = Collection(Note)


@registry.define(
    "assistant",
    description="Chat. Remembers notes, knows the time, and can start workers and debates.",
    state=AssistantState,
)
async def assistant(ctx: HandlerContext[AssistantState], wake: WakeEvent) -> None:
    """Answer; on a debate's change, only speak up when it is over."""
    if wake.type == "wake" and wake.payload["changes"] and not await _debate_is_over(ctx, wake):
        return
    agent = ctx.use_agent(ASSISTANT, tools=[now, *_memory(ctx), *_others(ctx)])
    await agent.run()
    if not ctx.title and wake.type == "inbox":
        await ctx.set_tag("title", _title(wake.payload))


def _memory(ctx: HandlerContext[AssistantState]) -> list[Tool]:
    @tool(retry_safe=True)
    async def remember(text: str) -> str:
        """Remember a note for later conversations.

        Args:
            text: The note, in one sentence.
        """
        note = await ctx.state.notes.insert(key=f"note-{await ctx.state.notes.count() + 1}", text=text)
        return f"Remembered as {note.key}."

    @tool(retry_safe=True)
    async def recall() -> str:
        """Read all notes."""
        notes = await ctx.state.notes.all()
        return "\n".join(f"- {note.text}" for note in notes) or "There are no notes yet."

    return [remember, recall]


def _others(ctx: HandlerContext[AssistantState]) -> list[Tool]:
    @tool(retry_safe=True)
    async def spawn_worker(name: str, task: str) -> str:
        """Give a task to a worker of its own; you are woken with its report.

        Args:
            name: A short name in lower-case letters and dashes.
            task: Everything the worker must know.
        """
        slug = f"{ctx.entity_url.rsplit('/', 1)[-1]}-{name}"
        args = {"system_prompt": "You do one task carefully and report what you found.", "tools": ["now"]}
        child = await ctx.spawn("worker", slug, args, initial_message=task, title=name, wake=RunFinished())
        return f"{child.entity_url} is at work; you will be told when it is done."

    @tool(retry_safe=True)
    async def start_debate(topic: str) -> str:
        """Start a debate between two workers before a moderator who will rule.

        Args:
            topic: The question to debate.
        """
        children = [
            row for row in await ctx.db.collections.manifests.all() if row.get("entity_type") == "debate"
        ]
        slug = f"{ctx.entity_url.rsplit('/', 1)[-1]}-debate-{len(children) + 1}"
        topic = topic.strip()[:1].upper() + topic.strip()[1:]
        child = await ctx.spawn("debate", slug, initial_message=f"Debate: {topic}", title=topic)
        await ctx.observe(entity(child.entity_url), wake=Change(collections=["status"], debounce=1))
        return f"The debate is open: [watch it here]({child.entity_url}/board/0/)."

    return [spawn_worker, start_debate]


async def _debate_is_over(ctx: HandlerContext[AssistantState], wake: WakeEvent) -> bool:
    handle = await ctx.observe(entity(wake.source))
    status = await handle.db.collections.status.get("current")
    return status is not None and status["value"] == "done"


def _title(payload: Any) -> str:
    """The first words that the person wrote."""
    text = payload.get("text", payload) if isinstance(payload, dict) else payload
    text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    words = re.sub(r"\s+", " ", re.sub(r"[`*_#>]", "", text)).strip()
    return words if len(words) <= 60 else words[:60].rsplit(" ", 1)[0] + " …"


registry.alias("horton", "assistant")
