"""The blackboard of a debate: what stands on it, and how pages show it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from entities.api import Collection, SharedStateSchema

SIDES = ("pro", "con")


class Argument(BaseModel):
    """One argument on the blackboard."""

    key: str = Field(description="Side and round, such as pro-1.")
    side: Literal["pro", "con"]
    text: str = Field(min_length=1, description="The argument, in Markdown, 60 to 150 words.")
    round: int = Field(ge=1)


BOARD = {
    "kind": "board", "title": "Debate", "shared": "debate-{url}", "collection": "arguments",
    "columns": "side", "column_values": list(SIDES), "rows": "round", "text": "text",
    "status": {
        "collection": "status", "key": "current", "topic": "topic", "phase": "value", "ruling": "ruling",
        "winner": "winner", "cites": "cites", "phases": ["idle", "debating", "ruling", "done"],
    },
}  # fmt: skip
SCHEMA = SharedStateSchema(arguments=Collection(Argument, type="shared:argument", board=BOARD))
