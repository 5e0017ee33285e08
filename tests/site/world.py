"""What Ada has: a host with a board, a worker below it, two shared states; a text of hers in every field.

The tests of access look for that text where it must not be; those of safety make it HTML.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from entities.catalog import log
from entities.lifecycle import spawn
from entities.models import Entity, Subscription, Timer, Wake
from entities.types.registry import registry
from shared_state import api
from shared_state.api import Collection, NewEvent, Provenance, SharedStateSchema, StreamInfo, Unit
from shared_state.models import Grant

ADA = Provenance("user:ada")
SECRET = "Adas-own-words-7f3c"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
AT = log.iso(NOW)
Value = tuple[str, str, dict[str, Any]]
BOARD = {
    "kind": "board", "columns": "side", "column_values": ["pro", "con"], "rows": "round", "text": "text",
}  # fmt: skip


class Argument(BaseModel):
    """As a debate's."""

    key: str
    side: str
    text: str
    round: int


class Note(BaseModel):
    """What people may write by the API."""

    key: str
    text: str


SCHEMA = SharedStateSchema(
    arguments=Collection(Argument, type="shared:argument", board=BOARD),
    notes=Collection(Note, externally_writable=True, operations=("insert", "update")),
    sealed=Collection(Note, externally_writable=True, operations=("insert",)),
    inner=Collection(Note),
)


@dataclass(frozen=True)
class World:
    """Its parts. `host` is a debate, `child` its worker, `shared` the board's stream, `wake` a parked one."""

    host: Entity
    child: Entity
    shared: StreamInfo
    wake: Wake
    text: str

    @property
    def shared_id(self) -> str:
        """The shared state's id."""
        return self.shared.path.removeprefix("shared:")


def build(text: str = SECRET, key: str = SECRET) -> World:
    """Make it, with `text` in every field that holds a text, and `key` in every one that holds a key."""
    registry.store()
    return api.unit(lambda unit: _build(unit, text, key), provenance=ADA)


def grant(world: World, username: str, role: str) -> None:
    """Give somebody a role for the whole family."""
    Grant.objects.create(stream_id=world.host.stream_id, principal=f"user:{username}", role=role)


def _build(unit: Unit, text: str, key: str) -> World:
    request = spawn.SpawnRequest(
        "debate", "host", "user:ada", "user:ada",
        args={"a": text}, message=text, title=text[:200], tags={"colour": text},
    )  # fmt: skip
    host = spawn.spawning(request)(unit)
    unit.flush()
    request = spawn.SpawnRequest(
        "worker", "child", "user:ada", "agent:/debate/host", parent=host, title=text[:200],
        args={"system_prompt": text, "tools": ["now"]},
    )  # fmt: skip
    child = spawn.spawning(request)(unit)
    unit.flush()
    shared = unit.create_stream(
        f"shared:debate-{host.url}", "shared", "user:ada", root=host.stream_id, schema=SCHEMA.to_json()
    )
    _fill_shared(unit, shared, text, key)
    for agent in (host, child):
        _fill_log(unit, agent, text, key)
    _fill_host(unit, host, child, shared, text)
    return World(host, child, shared, _fill_tables(host, child, text, key), text)


def _fill_shared(unit: Unit, shared: StreamInfo, text: str, key: str) -> None:
    provenance = Provenance("agent:/worker/child", "w1", "1.0", f"1.0-s1-c0{key}"[:100])
    rows: list[dict[str, Any]] = [
        {"key": key, "side": "pro", "text": text, "round": 1},
        {"key": "con-1", "side": "con", "text": text, "round": 1},
    ]
    unit.append(
        shared.id, [NewEvent("shared:argument", row["key"], row) for row in rows], provenance=provenance
    )
    new = {**rows[0], "text": f"{text} again"}
    unit.append(
        shared.id, [NewEvent("shared:argument", key, new, "update", keep_old=True)], provenance=provenance
    )
    unit.append(shared.id, [NewEvent("shared:notes", key, {"key": key, "text": text})])


def _fill_log(unit: Unit, agent: Entity, text: str, key: str) -> None:
    """One of everything that a log may hold."""
    run = f"1.0{key}"[:200]
    values = [*_run_values(run, text, key), *_call_values(run, text, key), *_other_values(run, text, key)]
    unit.append(agent.stream_id, [log.new(type, name, value) for type, name, value in values])


def _run_values(run: str, text: str, key: str) -> list[Value]:
    ended = {"status": "failed", "finish_reason": text, "started_at": AT, "ended_at": AT}
    said = {"run_id": run, "status": "completed", "content": text}
    return [
        ("run", run, {**ended, "provider": text}),
        ("step", "1.0-s1", {**ended, "run_id": run, "step_number": 1, "model_id": text}),
        ("reasoning", f"r{key}", {**said, "summary_title": text}),
        ("text", f"t{key}", said),
        ("text", "open", {"run_id": run, "status": "streaming"}),
        ("text_delta", "open-d1", {"text_id": "open", "run_id": run, "delta": text}),
        ("error", f"e{key}", {"error_code": text, "message": text, "run_id": run, "timestamp": AT}),
    ]


def _call_values(run: str, text: str, key: str) -> list[Value]:
    call = {"run_id": run, "step": "1.0-s1", "tool_call_id": text, "tool_name": f"write_{text}"[:200]}
    args = {"text": text, key: text}
    done = {"status": "completed", "args": args, "result": text, "details": [text]}
    return [
        ("tool_call", f"c{key}", {**call, **done}),
        ("tool_call", "c2", {**call, "status": "failed", "args": args, "error": text}),
        ("tool_call", "c3", {**call, "status": "executing", "args": args}),
        ("tool_call", "c4", {**call, "status": "started"}),
        ("tool_call_delta", "c4-d1", {"tool_call_id": "c4", "run_id": run, "delta": text}),
    ]


def _other_values(run: str, text: str, key: str) -> list[Value]:
    child = {"url": "/worker/child", "type": text, "run_id": key, "run_status": "failed", "response": text}
    change = {"collection": text, "kind": text, "key": key}
    message = {"from": "agent:/worker/child", "payload": {key: text}, "message_type": text}
    finished = {"source": child["url"], "reason": "run_finished", "finished_child": {**child, "error": text}}
    signal = {"signal": "SIGINT", "sender": "user:ada", "reason": text, "outcome": text}
    return [
        ("error", "e2", {"error_code": "x", "message": text, "timestamp": AT}),
        ("inbox", f"i{key}", {**message, "timestamp": AT}),
        ("wake", f"w{key}", {"source": text, "reason": "change", "changes": [change], "timestamp": AT}),
        ("wake", "w2", {**finished, "timestamp": AT}),
        ("signal", f"s{key}", {**signal, "timestamp": AT}),
        ("manifest", f"source:{key}"[:200], {"kind": "source", "source": text, "url": "/worker/child"}),
    ]


def _fill_host(unit: Unit, host: Entity, child: Entity, shared: StreamInfo, text: str) -> None:
    status = {"key": "current", "value": "done", "topic": text, "ruling": f"{text} [con-1]", "winner": text}
    made = {"kind": "shared-state", "id": shared.path.removeprefix("shared:"), "collections": [text]}
    known = {"entity_url": child.url, "entity_type": text, "status": "idle"}
    unit.append(
        host.stream_id,
        [
            NewEvent("state:status", "current", status),
            log.new("manifest", f"child:{child.url}", {"kind": "child", "url": child.url, "type": "worker"}),
            log.new("manifest", shared.path, made),
            log.new("child_status", child.url, known),
        ],
    )


def _fill_tables(host: Entity, child: Entity, text: str, key: str) -> Wake:
    subscription = Subscription.objects.create(
        observer=host,
        source=child.stream,
        source_url=child.url,
        kind="run_finished",
        types=[text],
        created_at=NOW,
    )
    Timer.objects.create(
        entity=host,
        sender="user:ada",
        payload={"text": text},
        key=key,
        due_at=NOW + timedelta(days=9000),
        created_at=NOW,
    )
    return Wake.objects.create(
        entity=host, reason="run_finished", source=child.url, subscription=subscription, state="parked",
        payload={"text": text}, number=7, due_at=NOW, attempts=4, error=text, created_at=NOW, settled_at=NOW,
    )  # fmt: skip
