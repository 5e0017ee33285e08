"""`worker`: a subagent that does one task with the tools its spawner picked, and nothing else."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from entities.api import TOOLBOX, HandlerContext, WakeEvent, db, registry, shared_tools

from .prompts import FOOTER


class SharedDb(BaseModel):
    """A shared state to connect to."""

    id: str
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class WorkerArgs(BaseModel):
    """What a worker is spawned with."""

    system_prompt: str = Field(min_length=1, description="What the worker is and how it should work.")
    tools: list[Literal["now"]] = Field(default=[], description="Tools by name.")
    shared_db: SharedDb | None = Field(default=None, description="A shared state to work in.")
    shared_db_tool_mode: Literal["full", "write-only"] = "full"
    model: str | None = None

    @model_validator(mode="after")
    def _can_do_something(self) -> Self:
        if not self.tools and self.shared_db is None:
            raise ValueError("a worker needs at least one tool, or a shared_db to work in")
        return self


@registry.define(
    "worker",
    description="A subagent for one task, with the tools its spawner picked.",
    creation_schema=WorkerArgs,
    hidden=True,
)
async def worker(ctx: HandlerContext, wake: WakeEvent) -> None:
    """Connect to the shared state, if there is one, and run."""
    args = WorkerArgs.model_validate(ctx.args)
    tools = [TOOLBOX[name] for name in args.tools]
    if args.shared_db is not None:
        shared = await ctx.observe(db(args.shared_db.id, args.shared_db.schema_))
        tools += shared_tools(shared, args.shared_db_tool_mode)
    await ctx.use_agent(args.system_prompt + FOOTER, model=args.model or "", tools=tools).run()
