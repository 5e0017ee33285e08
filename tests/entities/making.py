"""Agents with a past, written straight into their logs: what pages are tested on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User

from entities import api, presence
from entities.catalog import log
from entities.lifecycle import spawn
from entities.models import Entity, EntityType
from shared_state.api import NewEvent, Provenance, Unit, principal_of, unit

AT = "2026-11-20T12:00:00.000+00:00"
LATER = "2026-11-20T12:00:04.000+00:00"


def person(user: User) -> str:
    """The principal of a user, as text."""
    return str(principal_of(user))


def agent(
    owner: User, slug: str, *, type: str = "assistant", title: str = "", parent: Entity | None = None
) -> Entity:
    """An agent that has done nothing yet."""
    args = {"system_prompt": "Help.", "tools": ["now"]} if type == "worker" else None
    who = person(owner)
    request = spawn.SpawnRequest(type, slug, who, who, args=args, title=title, parent=parent)
    made = unit(spawn.spawning(request), provenance=Provenance(who))
    return api.get_entity(principal_of(owner), made.url)


def write(entity: Entity, events: Iterable[NewEvent], *, run: str = "", tool_call: str = "") -> None:
    """Append to an agent's log, as the agent."""
    provenance = Provenance(f"agent:{entity.url}", run=run, tool_call=tool_call)
    unit(lambda u: u.append(entity.stream_id, list(events)), provenance=provenance)
    entity.stream.refresh_from_db()


def run(key: str, text: str = "Hello.", *, status: str = "completed") -> list[NewEvent]:
    """A run of one step that says something."""
    step = {"run_id": key, "step_number": 1, "status": "completed", "finish_reason": "end_turn"}
    figures = {"input_tokens": 1200, "output_tokens": 40, "cost_usd": 0.0031, "model_id": "claude-test"}
    said = {"run_id": key, "status": "completed", "content": text}
    ended = LATER if status != "started" else None
    whole = {"status": status, "provider": "anthropic", "started_at": AT, "ended_at": ended}
    return [
        log.new("run", key, {"status": "started", "provider": "anthropic", "started_at": AT}),
        log.new("step", f"{key}-s1", {**step, **figures, "duration_ms": 900}),
        log.new("text", f"{key}-s1-b0", said),
        log.new("run", key, whole, "update"),
    ]  # fmt: skip


def call(key: str, run_id: str, *, status: str = "completed", **fields: Any) -> NewEvent:
    """A tool call in a run."""
    value = {
        "run_id": run_id,
        "step": f"{run_id}-s1",
        "tool_call_id": key,
        "tool_name": "search_kb",
        "status": status,
    }
    return log.new("tool_call", key, {**value, "args": {"limit": 5, "query": "bees"}, **fields})


def running(entity: Entity, seconds: float) -> None:
    """Somebody holds the agent's lease, for so long from now."""

    def lease(u: Unit) -> None:
        presence.touch(u, entity, lease_owner="w", lease_expires_at=u.now + timedelta(seconds=seconds))

    unit(lease, provenance=Provenance("system:test"))


def type_row(name: str, schema: dict[str, Any], description: str = "") -> EntityType:
    """A type as pages know it, without any code behind it."""
    return EntityType.objects.create(name=name, creation_schema=schema, description=description)
