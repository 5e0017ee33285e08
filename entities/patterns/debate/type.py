"""`debate`: the blackboard. A moderator, two workers, one shared collection of arguments."""

from __future__ import annotations

import json
from typing import Literal

from entities.api import (
    Collection,
    HandlerContext,
    SharedState,
    Tool,
    ToolError,
    WakeEvent,
    db,
    registry,
    tool,
)

from . import rounds as course
from .board import BOARD, SCHEMA, SIDES
from .prompts import MODERATOR


@registry.define(
    "debate",
    description="A moderator: two workers argue for and against, in rounds, and it rules.",
    state={"status": Collection(), "progress": Collection()},
    boards=[BOARD],
)
async def debate(ctx: HandlerContext, wake: WakeEvent) -> None:
    """Set up the blackboard once; then the moderator decides, until it has ruled."""
    db_id = f"debate-{ctx.entity_url}"
    if ctx.first_wake:
        await ctx.state.status.insert(key="current", value="idle")
        await ctx.mkdb(db_id, SCHEMA)
    shared = await ctx.observe(db(db_id, SCHEMA))
    status = await ctx.state.status.get("current")
    if wake.type == "wake" and status["value"] == "done" and not ctx.resuming:
        return
    await course.count_finished(ctx, wake)
    tools = [_start_debate(ctx, shared), _check_debate(ctx, shared), _end_debate(ctx, shared)]
    await ctx.use_agent(MODERATOR, tools=tools).run()


def _start_debate(ctx: HandlerContext, shared: SharedState) -> Tool:
    @tool(retry_safe=True)
    async def start_debate(topic: str, rounds: int = 2) -> str:
        """Open a debate: two workers will argue for and against.

        Args:
            topic: The question, as a question.
            rounds: The first opens, the others answer the opponent. 1 to 4.
        """
        status = await ctx.state.status.get("current")
        if status["value"] not in ("idle", "done"):
            raise ToolError(f"A debate on {status['topic']!r} is going on; end it first.")
        if not 1 <= rounds <= 4:
            raise ToolError(f"{rounds} rounds are not possible; choose 1 to 4.")
        topic = topic.strip()[:1].upper() + topic.strip()[1:]
        for row in await shared.arguments.all():
            await shared.arguments.delete(row["key"])
        shared_db = {"id": shared.id, "schema": SCHEMA.to_json()}
        await course.open_debate(ctx, topic, rounds, shared_db)
        await ctx.state.status.upsert(key="current", value="debating", topic=topic)
        if not ctx.title:
            await ctx.set_tag("title", topic)
        return "The debate is open. Both workers write; you are woken when one of them has finished."

    return start_debate


def _check_debate(ctx: HandlerContext, shared: SharedState) -> Tool:
    @tool(retry_safe=True)
    async def check_debate() -> str:
        """See where the debate is. Opens the next round when both sides have written; says when to rule."""
        status = await ctx.state.status.get("current")
        if status["value"] != "debating":
            return json.dumps({"phase": status["value"], "topic": status.get("topic"), "next": "nothing"})
        progress = await ctx.state.progress.get("current")
        present = {row["side"]: row for row in await shared.arguments.filter(round=progress["round"])}
        missing = [side for side in SIDES if side not in present]
        found = {"phase": "debating", "round": progress["round"]}
        if missing and not await course.forfeited(ctx, progress, missing):
            return json.dumps(found | {"waiting_for": missing, "next": "wait"})
        if not missing and progress["round"] < progress["rounds"]:
            await course.open_next(ctx, progress, present)
            return json.dumps(found | {"round": progress["round"] + 1, "next": "wait, a new round is open"})
        await ctx.state.status.update("current", value="ruling")
        ruling = {"phase": "ruling", "topic": status["topic"], "next": "rule with end_debate"}
        return json.dumps(ruling | {"arguments": await shared.arguments.all()}, ensure_ascii=False)

    return check_debate


def _end_debate(ctx: HandlerContext, shared: SharedState) -> Tool:
    @tool(retry_safe=True)
    async def end_debate(ruling: str, winner: Literal["pro", "con", "draw"], cites: list[str]) -> str:
        """Publish the ruling.

        Args:
            ruling: The reasons, in Markdown, citing arguments by key, such as [pro-1].
            winner: Who argued better.
            cites: The keys of the arguments that the ruling rests on.
        """
        if (await ctx.state.status.get("current"))["value"] not in ("debating", "ruling"):
            raise ToolError("There is no debate to rule on; open one with start_debate.")
        known = {row["key"] for row in await shared.arguments.all()}
        if wrong := [key for key in cites if key not in known]:
            raise ToolError(f"There is no argument {', '.join(wrong)}; there are {', '.join(sorted(known))}.")
        if not cites and known:
            raise ToolError(f"Cite at least one argument by its key: {', '.join(sorted(known))}.")
        if unsaid := [key for key in cites if f"[{key}]" not in ruling]:
            raise ToolError(f"The ruling does not cite [{'], ['.join(unsaid)}]; do, where it rests on it.")
        await ctx.state.status.update("current", value="done", ruling=ruling, winner=winner, cites=cites)
        return "The ruling is published."

    return end_debate
