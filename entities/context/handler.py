"""`ctx` and `wake`: what a handler is called with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Generic, Literal, TypedDict, overload

from typing_extensions import TypeVar, Unpack

from entities import presence
from entities.catalog import log
from entities.conf import DEFAULT
from entities.context import coordination
from entities.context.coordination import Child, EntityHandle
from entities.context.record_run import RunHandle
from entities.context.session import Scope, Session
from entities.context.state import Collections, EntityDb, SharedState, State, StreamRef
from entities.exceptions import EntitiesError
from entities.lifecycle.spawn import require_tag
from entities.lookups import AGENTS
from entities.types.registry import TypeDefinition
from entities.types.tool import Tool, index_tools
from entities.wakes.sources import Condition, DbSource, EntitySource
from shared_state.api import Event, Json, Needs, SharedStateSchema, Unit, Verb, require_same


@dataclass(frozen=True)
class WakeEvent:
    """Why the handler runs. `type` is `inbox` for messages and `wake` for everything else.

    For messages, `payload` is the newest message's payload; `ctx.events` has them all. For the rest it is an
    object with `timestamp`, `source`, `timeout`, `changes`, `finished_child`, `other_children` (some
    of them, those that are not done first) and `more_children` (how many others there are).
    """

    source: str
    type: Literal["inbox", "wake"]
    from_offset: int
    to_offset: int
    payload: Any
    summary: str

    @property
    def event_count(self) -> int:
        """How many events of the log the wake covers."""
        return max(0, self.to_offset - self.from_offset)


@dataclass(frozen=True)
class AgentConfig:
    """How an agent thinks. Times are in seconds."""

    system_prompt: str
    model: str = ""
    tools: Sequence[Tool | Callable[..., Any]] = ()
    max_steps: int = 24
    max_tokens: int = 16_000
    thinking: str = "off"
    on_step_end: Callable[[Any], Awaitable[None]] | None = None
    timeout: float = 600.0
    max_retries: int = 2
    test_responses: Sequence[Any] | None = None
    provider: str = DEFAULT
    """The alias of a provider in the settings."""
    script: str = ""
    """The offline script that speaks when there is no key; by default the one of the type's name, if any."""


@dataclass(frozen=True)
class AgentResult:
    """What a run came to; the numbers are real."""

    run: str
    text: str
    tool_calls: list[dict[str, Any]]
    usage: dict[str, float]
    finish_reason: str


class AgentOptions(TypedDict, total=False):
    """The fields of `AgentConfig` beside the system prompt, for type checkers."""

    model: str
    tools: Sequence[Tool | Callable[..., Any]]
    max_steps: int
    max_tokens: int
    thinking: str
    on_step_end: Callable[[Any], Awaitable[None]] | None
    timeout: float
    max_retries: int
    test_responses: Sequence[Any] | None
    provider: str
    script: str


S = TypeVar("S", bound=Collections, default=Collections)

RunLoop = Callable[["HandlerContext[Any]", AgentConfig, str | None], Awaitable[AgentResult]]


class AgentHandle:
    """A configured agent."""

    def __init__(self, context: HandlerContext[Any], config: AgentConfig, loop: RunLoop) -> None:
        self._context = context
        self._loop = loop
        self.config = config

    async def run(self, input: str | None = None) -> AgentResult:
        """Run the loop until the model has nothing left to do. A run that was cut off goes on where it was.

        Raises `RunFailed` if the model cannot be used, `ModelUnavailable` if it may be later.
        """
        return await self._loop(self._context, self.config, input)


@dataclass
class Setup:
    """What the runtime knows when it builds a context."""

    definition: TypeDefinition
    loop: RunLoop
    events: list[Event] = field(default_factory=list)
    first_wake: bool = False
    resuming: bool = False


class HandlerContext(Generic[S]):
    """Everything a handler may do. All of it is awaited; nothing is cached."""

    def __init__(self, session: Session, wake: WakeEvent, setup: Setup) -> None:
        entity = session.entity
        self.session = session
        self.wake = wake
        self.events = setup.events
        self.first_wake = setup.first_wake
        """True until the entity has set something up in an earlier wake: the time for `mkdb` and `spawn`."""
        self.resuming = setup.resuming
        """True if this wake was cut off after it had begun a run: decide nothing anew that the run may have
        changed, go on to it."""
        self.entity_url: str = entity.url
        self.entity_type: str = entity.type
        self.args: Mapping[str, Any] = dict(entity.args)
        self.tags: Mapping[str, str] = dict(entity.tags)
        self.title: str = entity.title
        self.principal = wake.source
        """Who or what caused this wake."""
        self.signal = asyncio.Event()
        """Set when this run was asked to stop."""
        log_ref, own = StreamRef(session, entity.stream_id, entity.url), setup.definition.state
        declared: Any = setup.definition.state_class or State
        self.state: S = declared.of(session, log_ref, own, entity.url)
        self.db = EntityDb(session, log_ref, own, entity.url)
        self.agent: AgentHandle | None = None
        self._loop = setup.loop
        self._runs = 0

    # -- thinking

    def use_agent(self, system_prompt: str, **options: Unpack[AgentOptions]) -> AgentHandle:
        """Configure the agent; `options` are the fields of `AgentConfig`. Also at `ctx.agent`.

        A plain function among the tools becomes one, as by `@tool`. Raises InvalidInput if it cannot.
        """
        try:
            config = AgentConfig(system_prompt, **options)
        except TypeError as error:
            known = ", ".join(AgentConfig.__dataclass_fields__)
            raise EntitiesError(f"use_agent: {error}. It takes {known}.") from None
        tools = index_tools(config.tools, sys._getframe(1).f_locals)
        config = replace(config, tools=tuple(tools.values()))
        self.agent = AgentHandle(self, config, self._loop)
        return self.agent

    def next_run(self) -> str:
        """The key of the next run of this wake: the same one if the wake is run again."""
        self._runs += 1
        return f"{self.session.claimed.wake.number}.{self._runs - 1}"

    def record_run(self) -> RunHandle:
        """Publish work done without a model as a run, so that observers hear of it."""
        return RunHandle(self.session, self.next_run())

    async def reply_text(self, text: str) -> None:
        """Say something without a model."""
        async with self.record_run() as run:
            run.attach_response(text)

    # -- others

    async def spawn(
        self, type: str, id: str, args: Json | None = None, *, initial_message: Any = None,
        wake: Condition | None = None, **more: Any,
    ) -> EntityHandle:  # fmt: skip
        """Make a child at `/{type}/{id}`; `more` are `initial_message_type`, `tags`, `title`, `observe`.

        With a condition, this entity wakes when it comes true. Raises `EntityExists`, `InvalidInput`.
        """
        child = Child(initial_message=initial_message, wake=wake, **more)
        return await coordination.spawn(self.session, type, id, args, child)

    @overload
    async def observe(self, source: EntitySource, *, wake: Condition | None = None) -> EntityHandle: ...

    @overload
    async def observe(self, source: DbSource, *, wake: Condition | None = None) -> SharedState: ...

    async def observe(
        self, source: EntitySource | DbSource, *, wake: Condition | None = None
    ) -> EntityHandle | SharedState:
        """A handle to `entity(url)` or `db(id, schema)`; with a condition, be woken by it."""
        return await coordination.observe(self.session, source, wake)

    async def unobserve(self, source: EntitySource | DbSource) -> None:
        """Be woken by a source no more."""
        await coordination.unobserve(self.session, source)

    async def send(
        self, url: str, payload: Any, *, type: str | None = None, after: timedelta | None = None
    ) -> None:
        """Message another entity, now or after a time."""
        await coordination.send(self.session, url, payload, type=type, after=after)

    async def mkdb(self, id: str, schema: SharedStateSchema | Mapping[str, Any]) -> SharedState:
        """Make a shared state stream, once. Raises `StreamExists`."""
        return await coordination.mkdb(self.session, id, schema)

    # -- itself

    async def set_tag(self, key: str, value: str) -> None:
        """Set a tag; `title` is what lists and pages show."""
        require_tag(key, value)
        name = self.session.scope.name(f"tag:{key}")

        me = self.session.entity
        event = log.new("tags", key, {"value": value}, "upsert", client_key=name)

        def run(unit: Unit) -> None:
            fresh = presence.current(unit, me)
            (done,) = unit.append(me.stream_id, [event])
            if done.repeated:  # by now it may be something else again
                require_same(f"The tag {key!r}", value, done.value["value"])
                return
            unit.tables.change(
                fresh, tags={**fresh.tags, key: value}, title=value[:200] if key == "title" else fresh.title
            )
            presence.announce(unit, fresh)

        needs = Needs(
            (me.stream_id,), rows=((me.stream_id, "tags", key),), keys=((me.stream_id, name),),
            lookups=((AGENTS, me.pk),),
        )  # fmt: skip
        await self.session.change(Verb(run, needs))

    @asynccontextmanager
    async def atomic(self) -> AsyncIterator[None]:
        """What is changed inside becomes visible together, or not at all if something is raised.

        Within another, and within a tool call, it is a part: it becomes visible with the whole, and what is
        raised inside undoes the part alone if it is caught.
        """
        outer = self.session.scope
        if outer.atomic:
            async with self.session.block():
                yield
            return
        scope = Scope(outer.name("atomic"), outer.run, outer.tool_call, atomic=True)
        token = self.session.enter(scope)
        try:
            yield
        finally:
            self.session.leave(token)
        await self.session.commit(scope)

    def sleep(self) -> None:
        """Go idle until something happens. Returning from the handler does the same; this says so."""
