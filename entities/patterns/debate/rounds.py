"""The rounds of a debate: who was asked, who has finished, whom to remind.

All of it is one row of the debate's own state, `progress`, and every change of it is part of a tool call or a
wake, so it holds through a crash like anything else.
"""

from __future__ import annotations

from typing import Any

from entities.api import HandlerContext, RunFinished, WakeEvent

from . import prompts

OTHER = {"pro": "con", "con": "pro"}


async def open_debate(ctx: HandlerContext, topic: str, rounds: int, shared_db: Any) -> None:
    """Spawn both workers with their first task."""
    before = await ctx.state.progress.get("current")
    number = before["number"] + 1 if before else 1
    workers = {}
    for side in OTHER:
        slug = f"{ctx.entity_url.rsplit('/', 1)[-1]}-{side}" + (f"-{number}" if number > 1 else "")
        child = await ctx.spawn(
            "worker",
            slug,
            {"system_prompt": prompts.worker(side, topic), "shared_db": shared_db},
            initial_message=prompts.opening(side, topic, rounds),
            title=f"{side.capitalize()}: {topic}",
            wake=RunFinished(),
        )
        workers[side] = child.entity_url
    await ctx.state.progress.upsert(
        key="current", number=number, round=1, rounds=rounds, workers=workers,
        asked=dict.fromkeys(OTHER, 1), finished=dict.fromkeys(OTHER, 0), reminded=[],
    )  # fmt: skip


async def open_next(ctx: HandlerContext, progress: Any, present: dict[str, Any]) -> None:
    """Hand each side the other's argument."""
    number = progress["round"] + 1
    for side, other in OTHER.items():
        message = prompts.rebuttal(side, number, progress["rounds"], present[other])
        await ctx.send(progress["workers"][side], message)
    asked = {side: count + 1 for side, count in progress["asked"].items()}
    await ctx.state.progress.update("current", round=number, reminded=[], asked=asked)


async def forfeited(ctx: HandlerContext, progress: Any, missing: list[str]) -> bool:
    """Whether nobody who is missing will write any more. One who only forgot is reminded, once a round."""
    reminded, asked = list(progress["reminded"]), dict(progress["asked"])
    waiting = False
    for side in missing:
        if progress["finished"][side] < asked[side]:
            waiting = True
        elif side not in reminded:
            await ctx.send(progress["workers"][side], prompts.reminder(side, progress["round"]))
            reminded.append(side)
            asked[side] += 1
            waiting = True
    if reminded != progress["reminded"]:
        await ctx.state.progress.update("current", reminded=reminded, asked=asked)
    return not waiting


async def count_finished(ctx: HandlerContext, wake: WakeEvent) -> None:
    """One more run of a worker is over: whoever was asked more often than that is still at it."""
    child = wake.payload["finished_child"] if wake.type == "wake" else None
    if child is None:
        return

    def counted(row: dict[str, Any]) -> dict[str, Any]:
        url = child["url"]
        over = {side: count + (row["workers"][side] == url) for side, count in row["finished"].items()}
        return row | {"finished": over}

    await ctx.state.progress.update("current", counted)
