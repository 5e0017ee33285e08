"""What a run has come to is kept with its steps, so that a page which shows some of them knows of all."""

from __future__ import annotations

from typing import Any

from entities.agent.messages import Response, Text, ToolCall, Usage
from entities.api import tool
from entities.catalog.timeline import changes, of_row
from entities.testing.runtime import handle_all, look, rows, spawn
from entities.types.registry import Registry
from entities.web.render import render


@tool
async def think() -> str:
    """Think."""
    return "so"


def said(number: int, cost: float | None) -> Response:
    call = ToolCall(f"c{number}", "think", {})
    blocks: tuple[Any, ...] = (call,) if number < 3 else (Text("done"),)
    reason: Any = "tool_use" if number < 3 else "end_turn"
    return Response(blocks, reason, Usage(10 * number, number, 5, 1), "model", "test", cost)


async def test_each_step_says_what_the_run_has_come_to(types: Registry) -> None:
    @types.define("thinker")
    async def thinker(ctx: Any, wake: Any) -> None:
        answers = [said(1, 0.25), said(2, None), said(3, 0.5)]
        await ctx.use_agent("You think.", tools=[think], test_responses=answers).run()

    url = await spawn("thinker", message="think")
    await handle_all()

    steps = await rows(url, "step")
    assert [row.value["run_totals"] for row in steps] == [
        {"steps": 1, "input_tokens": 10, "output_tokens": 1, "cache_read_tokens": 5, "cache_write_tokens": 1,
         "cost_usd": 0.25},
        {"steps": 2, "input_tokens": 30, "output_tokens": 3, "cache_read_tokens": 10, "cache_write_tokens": 2,
         "cost_usd": 0.25},
        {"steps": 3, "input_tokens": 60, "output_tokens": 6, "cache_read_tokens": 15, "cache_write_tokens": 3,
         "cost_usd": 0.75},
    ]  # fmt: skip
    _, item = changes(of_row(steps[-1]))
    html = await look(lambda: str(render(item, url)))  # type: ignore[arg-type]
    for wanted in (
        'data-total-steps="3"',
        'data-total-in="78"',
        'data-total-out="6"',
        'data-total-cost="0.75"',
    ):
        assert wanted in html
