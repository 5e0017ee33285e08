"""What a crash test lets happen, and where it may be cut off. Every part of it can be done again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F

from entities import api
from entities.conf import conf
from entities.models import Chore, Entity, Wake
from entities.upkeep.pruner import Pruner
from entities.worker.worker import Worker
from shared_state.api import Principal, database, in_thread
from shared_state.models import EventRecord, Grant, RowRecord
from shared_state.write import batch

OWNER = Principal("user", "crashtest")
SLUG = "crashtest"
TOPIC = "should cities ban private cars?"
MESSAGES = 3
"""How many messages a round of `joined` sends, each in a transaction of the caller's."""
PIECES = 50
"""How many rows a part of `staging` puts into a collection, in one transaction."""
TIMEOUT_SECONDS = 60.0
"""How long one run may take, in seconds."""
POLL_SECONDS = 0.002
"""How often a run looks whether it is over, in seconds."""


@dataclass(frozen=True)
class Scenario:
    """`prepare` makes what there is beforehand, for a number of rounds; `work` goes on from wherever it is.

    `work` calls the hook that it is given where the process may die, with a word for the place.
    `torn` says what is there by half: right after a process died, before anybody goes on.
    """

    prepare: Callable[[int], None]
    work: Callable[[int, batch.CommitHook], None]
    torn: Callable[[], list[str]] = list


# -- debate: a worker, killed before and after each of the writer's commits


def _prepare_debate(rounds: int) -> None:
    plural = "round" if rounds == 1 else "rounds"
    api.spawn_now(OWNER, api.NewEntity("debate", SLUG, message=f"Debate in {rounds} {plural}: {TOPIC}"))


def _debate(rounds: int, boundary: batch.CommitHook) -> None:
    batch.commit_hook = boundary
    asyncio.run(_until_over())


async def _until_over() -> None:
    """Run a worker until nothing is left to do."""
    worker = Worker(concurrency=1)  # so that the order of everything is certain
    await worker.start()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not await in_thread(_is_over):
            await worker.idle.wait()
            await asyncio.sleep(POLL_SECONDS)  # what comes next is claimed by now, or nothing is
    await worker.stop()


def _is_over() -> bool:
    return not Wake.objects.filter(state__in=(Wake.State.PENDING, Wake.State.CLAIMED)).exists()


# -- joined: a caller whose transactions hold a unit and a row of its own, then a worker


def _prepare_joined(rounds: int) -> None:
    api.spawn_now(OWNER, api.NewEntity("assistant", SLUG))


def _joined(rounds: int, boundary: batch.CommitHook) -> None:
    agent = Entity.objects.select_related("stream").get(slug=SLUG)
    for number in range(rounds * MESSAGES):
        key = f"message-{number}"
        with database.atomic():
            api.deliver_now(OWNER, agent.url, f"Number {number}", key=key)
            boundary("after the unit")
            Grant.objects.get_or_create(stream=agent.stream, principal=f"service:{key}", role=Grant.Role.VIEW)
            boundary("before the caller's commit")
        boundary("after the caller's commit")
    batch.commit_hook = boundary
    asyncio.run(_until_over())


def _torn_joined() -> list[str]:
    messages = set(RowRecord.objects.filter(type="inbox").values_list("key", flat=True))
    rows = {
        principal.removeprefix("service:") for principal in Grant.objects.values_list("principal", flat=True)
    }
    return [f"{key} is there without its other half" for key in sorted(messages ^ rows)]


# -- pruning: what a debate left behind is pruned, and the pruner killed before and after each of its commits


def _prepare_pruning(rounds: int) -> None:
    _prepare_debate(rounds)
    asyncio.run(_until_over())
    ago = timedelta(seconds=max(conf.keep_versions_seconds, conf.keep_wakes_seconds / 2))
    EventRecord.objects.update(timestamp=F("timestamp") - ago)
    wakes = Wake.objects.filter(settled_at__isnull=False)
    wakes.update(settled_at=F("settled_at") - ago)
    first = wakes.order_by("settled_at").first()
    if first is not None:  # one that is to be deleted
        wakes.filter(pk=first.pk).update(settled_at=F("settled_at") - ago)


def _pruning(rounds: int, boundary: batch.CommitHook) -> None:
    Chore.objects.update(holder="", held_until=None)  # as if the minute had passed that the dead one has it
    connection = database.connection()
    commit = connection.commit

    def commit_between_boundaries() -> None:
        boundary("before the commit")
        commit()
        boundary("after the commit")

    def execute_between_boundaries(execute: Callable[..., Any], sql: str, *said: Any) -> Any:
        if connection.in_atomic_block or sql.startswith(("SELECT", "BEGIN")):
            return execute(sql, *said)
        boundary("before a statement that commits itself")
        answer = execute(sql, *said)
        boundary("after a statement that commits itself")
        return answer

    connection.commit = commit_between_boundaries  # type: ignore[method-assign]
    with connection.execute_wrapper(execute_between_boundaries):
        pruner = Pruner("crashtest")
        while pruner.step():
            pass
    connection.commit = commit  # type: ignore[method-assign]


# -- staging: an agent whose tool, and whose handler, stage many changes in several streams, and a worker


def _define_filler() -> None:
    """`filler` fills a board and itself, in a tool and in a block of its own; `filled` only listens."""
    board = api.SharedStateSchema(pieces=api.Collection())

    @api.registry.define("filled")
    async def filled(ctx: Any, wake: Any) -> None:
        """It is there to be made and told."""

    @api.registry.define("filler", state={"pieces": api.Collection(), "sums": api.Collection()})
    async def filler(ctx: Any, wake: Any) -> None:
        @api.tool(retry_safe=True)
        async def fill(number: int) -> str:
            """Make a board, and somebody, and put pieces everywhere."""
            shared = await ctx.mkdb(f"{SLUG}-{number}", board)
            child = await ctx.spawn("filled", f"{SLUG}-{number}")
            await child.send("Look.")
            await _put_pieces(ctx, shared.pieces, f"tool-{number}")
            return f"{await shared.pieces.count()} pieces"

        async with ctx.atomic():
            await ctx.state.sums.upsert(key="sum", n=0)
            await _put_pieces(ctx, ctx.state.pieces, "handler")
        steps = [("fill", {"number": number}) for number in range(wake.payload["rounds"])]
        await ctx.use_agent(
            "You fill.", tools=[fill], test_responses=[*([step] for step in steps), "Done."]
        ).run()


class _ChangedMindError(Exception):
    """What was done in a block is not to be."""


async def _put_pieces(ctx: Any, pieces: Any, part: str) -> None:
    for number in range(PIECES):
        await _put_piece(ctx, pieces, f"{part}-{number}")
    with contextlib.suppress(_ChangedMindError):
        async with ctx.atomic():
            await _put_piece(ctx, pieces, f"{part}-never")
            raise _ChangedMindError


async def _put_piece(ctx: Any, pieces: Any, key: str) -> None:
    await pieces.insert(key=key)
    await ctx.state.sums.update("sum", lambda row: {**row, "n": row["n"] + 1})


def _prepare_staging(rounds: int) -> None:
    _define_filler()
    api.registry.store()
    api.spawn_now(OWNER, api.NewEntity("filler", SLUG, message={"rounds": rounds}))


def _staging(rounds: int, boundary: batch.CommitHook) -> None:
    _define_filler()
    batch.commit_hook = boundary
    asyncio.run(_until_over())


def _torn_staging() -> list[str]:
    """Each part has all of its pieces or none, and what else it staged with them."""
    keys = RowRecord.objects.filter(type__endswith=":pieces").values_list("key", flat=True)
    parts = Counter(key.rpartition("-")[0] for key in keys)
    faults = [
        f"{part} put {found} of its {PIECES} pieces" for part, found in parts.items() if found != PIECES
    ]
    sums = [row.value["n"] for row in RowRecord.objects.filter(type="state:sums")]
    if sum(sums) != sum(parts.values()):
        faults.append(f"{sum(parts.values())} pieces are there, and {sums} were counted")
    tools = sum(part.startswith("tool-") for part in parts)
    done = RowRecord.objects.filter(type="tool_call", value__status="completed").count()
    made, told = (
        Entity.objects.filter(type="filled"),
        RowRecord.objects.filter(type="inbox", value__payload="Look."),
    )
    if {tools, done, made.count(), told.count()} != {tools}:
        faults.append(f"{tools} boards, {done} results, {made.count()} agents, {told.count()} messages")
    return faults


# -- stopping: an agent whose tool sends it a message and a signal, and then never ends, and a worker

_NEXT = "And now?"


def _define_stopper() -> None:
    @api.registry.define("stopper")
    async def stopper(ctx: Any, wake: Any) -> None:
        @api.tool(retry_safe=True)
        async def stop() -> str:
            """Ask to be stopped, and wait for it."""
            await api.deliver(OWNER, ctx.entity_url, _NEXT, key="next")
            await api.signal(OWNER, ctx.entity_url, "SIGINT")
            await asyncio.Event().wait()
            return "never"

        said: list[Any] = ["Answered."] if wake.payload == _NEXT else [[("stop", {})], "Never said."]
        await ctx.use_agent("You stop.", tools=[stop], test_responses=said).run()


def _prepare_stopping(rounds: int) -> None:
    _define_stopper()
    api.registry.store()
    for number in range(rounds):
        api.spawn_now(OWNER, api.NewEntity("stopper", f"{SLUG}-{number}", message="Begin."))


def _stopping(rounds: int, boundary: batch.CommitHook) -> None:
    _define_stopper()
    batch.commit_hook = boundary
    asyncio.run(_until_over())


def _torn_stopping() -> list[str]:
    """The run that a signal was sent to never ends well; the message after it is answered."""
    signals = RowRecord.objects.filter(type="signal", value__outcome="run interrupted")
    completed = RowRecord.objects.filter(type="run", key="1.0", value__status="completed")
    missed = completed.filter(stream__in=signals.values("stream"))
    stopped = RowRecord.objects.filter(type="run", key="2.0", value__finish_reason="aborted")
    return [
        *(f"the signal missed {row.stream.path}" for row in missed),
        *(f"the signal hit the next run of {row.stream.path}" for row in stopped),
    ]


SCENARIOS = {
    "debate": Scenario(_prepare_debate, _debate),
    "joined": Scenario(_prepare_joined, _joined, _torn_joined),
    "pruning": Scenario(_prepare_pruning, _pruning),
    "staging": Scenario(_prepare_staging, _staging, _torn_staging),
    "stopping": Scenario(_prepare_stopping, _stopping, _torn_stopping),
}
