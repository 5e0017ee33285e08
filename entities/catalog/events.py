"""The closed catalogue of what an entity's log may hold. Plain Python; unknown fields are refused.

Every value is validated against its class before it is appended. Times are ISO 8601 in UTC. A row also
carries its key, and when it began and ended or was written, so that a value read alone says what it is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from entities.catalog.sanitize import MAX_COMPLAINT, shortened, storable
from shared_state.core.types import KEPT, Pieces, Retention, Versions

EntityStatus = Literal["spawning", "idle", "running", "paused", "stopping", "stopped", "killed", "error"]
RunStatus = Literal["started", "completed", "failed"]
ToolStatus = Literal["started", "args_complete", "executing", "completed", "failed"]


def _complaint(message: str) -> str:
    return shortened(storable(message), MAX_COMPLAINT)


class Value(BaseModel):
    """The base of all: closed, and read by field name."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)

    key: str = Field(max_length=255)


class Run(Value):
    """One execution of an agent loop, or of work recorded with `record_run`."""

    status: RunStatus
    finish_reason: str | None = None
    wake: str | None = None
    provider: str | None = None
    started_at: str | None = None
    ended_at: str | None = None


class RunTotals(BaseModel):
    """What a run has come to with a step: a page shows some of its steps, and says how many there are."""

    model_config = ConfigDict(extra="forbid")

    steps: int
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float = 0.0


class Step(Value):
    """One model call. Usage is written in the same event as the result, so it counts exactly once."""

    run_id: str
    step_number: int
    status: RunStatus
    finish_reason: str | None = None
    stop_detail: str | None = None
    model_provider: str | None = None
    model_id: str | None = None
    duration_ms: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None
    run_totals: RunTotals | None = None
    started_at: str | None = None
    ended_at: str | None = None


class Text(Value):
    """What the agent says. `content` is there when it is completed; until then, in its deltas.

    `pace` is how fast it was written (`catalog.pace`), so that it can be typed again when they are gone.
    """

    run_id: str
    status: Literal["streaming", "completed"]
    content: str | None = None
    pace: str | None = None
    started_at: str | None = None
    ended_at: str | None = None


class TextDelta(Value):
    """A piece of a text. `start` is the number of characters before it."""

    text_id: str
    run_id: str
    delta: str
    start: int = 0


class ToolCall(Value):
    """A call of a tool, from the model's first word of it to its result."""

    run_id: str
    step: str
    tool_call_id: str
    tool_name: str
    status: ToolStatus
    args: dict[str, Any] | None = None
    result: str | None = None
    details: Any = None
    terminate: bool = False
    error: str | None = None
    pace: str | None = None
    duration_ms: int | None = None
    started_at: str | None = None
    ended_at: str | None = None


class ToolCallDelta(Value):
    """A piece of the JSON of a tool call's arguments, so that they can be read while they are written.

    `tool_call_id` is the key of the tool call's row.
    """

    tool_call_id: str
    run_id: str
    delta: str
    start: int = 0


class Reasoning(Value):
    """The model's reasoning. `signature` goes back unchanged; `encrypted` is withheld text."""

    run_id: str
    status: Literal["streaming", "completed"]
    content: str | None = None
    signature: str | None = None
    encrypted: str | None = None
    summary_title: str | None = None
    pace: str | None = None
    started_at: str | None = None
    ended_at: str | None = None


class ReasoningDelta(Value):
    """What a reasoning grew by. `start` is the number of characters before it."""

    reasoning_id: str
    run_id: str
    delta: str
    start: int = 0


class Error(Value):
    """Something went wrong, where people can see it."""

    error_code: str
    message: Annotated[str, BeforeValidator(_complaint)]
    run_id: str | None = None
    step_id: str | None = None
    tool_call_id: str | None = None
    timestamp: str


class Inbox(Value):
    """A message to the entity, from its arrival until it was handled or taken back."""

    from_: str = Field(alias="from")
    payload: Any
    message_type: str | None = None
    mode: Literal["immediate", "queued", "paused", "steer"] = "immediate"
    status: Literal["pending", "processed", "cancelled"] = "pending"
    position: str | None = None
    timestamp: str
    processed_at: str | None = None
    cancelled_at: str | None = None


class FinishedChild(BaseModel):
    """A child's finished run, as its parent hears of it."""

    url: str
    type: str
    run_id: str
    run_status: Literal["completed", "failed"]
    response: str | None = None
    error: str | None = None


class Wake(Value):
    """Why the entity woke, other than by a message."""

    source: str
    reason: str
    timeout: bool = False
    changes: list[dict[str, Any]] = []
    finished_child: FinishedChild | None = None
    other_children: list[dict[str, str]] = []
    more_children: int = 0
    chain: list[str] = []
    """Whose runs led to this one, each by ending: the newest first, without `source`."""
    timestamp: str


class EntityCreated(Value):
    """The first event of every log."""

    entity_type: str
    args: dict[str, Any] = {}
    parent_url: str | None = None
    created_by: str
    timestamp: str


class EntityStopped(Value):
    """The last event of a log."""

    reason: str
    timestamp: str


class Signal(Value):
    """A lifecycle signal and what became of it."""

    signal: Literal["SIGINT", "SIGHUP", "SIGTERM", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGUSR"]
    status: Literal["unhandled", "handled"] = "unhandled"
    sender: str
    reason: str | None = None
    payload: Any = None
    outcome: str | None = None
    previous_state: str | None = None
    new_state: str | None = None
    timestamp: str
    handled_at: str | None = None
    handled_by: str | None = None


class ChildStatus(Value):
    """A child, as this entity last knew it; the key is its address."""

    entity_url: str
    entity_type: str
    status: EntityStatus
    timestamp: str


class Tag(Value):
    """One of the entity's tags; the key is its name."""

    value: str
    timestamp: str


class Manifest(Value):
    """What an entity set up: a child, a source it observes, a shared state it made."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    kind: Literal["child", "source", "shared-state", "effect", "attachment", "context", "schedule", "goal"]
    timestamp: str


EVENTS: dict[str, type[Value]] = {
    "run": Run,
    "step": Step,
    "text": Text,
    "text_delta": TextDelta,
    "tool_call": ToolCall,
    "tool_call_delta": ToolCallDelta,
    "reasoning": Reasoning,
    "reasoning_delta": ReasoningDelta,
    "error": Error,
    "inbox": Inbox,
    "wake": Wake,
    "entity_created": EntityCreated,
    "entity_stopped": EntityStopped,
    "signal": Signal,
    "child_status": ChildStatus,
    "tags": Tag,
    "manifest": Manifest,
}
"""Event type → the class of its value. State collections (`state:<name>`) are the type's own."""

LOG_ONLY = frozenset({"text_delta", "reasoning_delta", "tool_call_delta"})
"""Types that are read in the log and not folded into rows."""

_COMPLETED, _ENDED = frozenset({"completed"}), frozenset({"completed", "failed"})

RETENTION: dict[str, Retention] = {
    "run": Versions(_ENDED),
    "step": Versions(_ENDED),
    "text": Versions(_COMPLETED),
    "text_delta": Pieces("text", "text_id", _COMPLETED),
    "tool_call": Versions(_ENDED),
    "tool_call_delta": Pieces("tool_call", "tool_call_id", _ENDED),
    "reasoning": Versions(_COMPLETED),
    "reasoning_delta": Pieces("reasoning", "reasoning_id", _COMPLETED),
    "error": KEPT,
    "inbox": Versions(frozenset({"processed", "cancelled"})),
    "wake": KEPT,
    "entity_created": KEPT,
    "entity_stopped": KEPT,
    "signal": KEPT,
    "child_status": Versions(None),
    "tags": KEPT,
    "manifest": KEPT,
}
"""What becomes of the events of each type in the long run. Those of an entity's own state are kept."""

COLLECTIONS: dict[str, str] = {
    "runs": "run",
    "steps": "step",
    "texts": "text",
    "tool_calls": "tool_call",
    "reasoning": "reasoning",
    "errors": "error",
    "inbox": "inbox",
    "wakes": "wake",
    "entity_created": "entity_created",
    "entity_stopped": "entity_stopped",
    "signals": "signal",
    "child_status": "child_status",
    "tags": "tags",
    "manifests": "manifest",
}
"""Built-in collection → event type."""
