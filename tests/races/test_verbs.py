"""Every verb against every other: two processes, the same agents, no transaction lost, exact counts."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

from django.db import connection
from django.db.models import QuerySet

from entities.api import EntityExists, NewEntity, registry, spawn_now
from entities.lifecycle import inbox, signals, spawn
from entities.models import Entity, Timer, Wake
from entities.wakes import lease, wake
from entities.worker.worker import claiming_due
from shared_state import api
from shared_state.core.types import Principal, Provenance
from shared_state.models import Grant, RowRecord, Stream
from shared_state.write import batch
from tests.conformance.writing import other_process

ADA = Principal("user", "ada")
AGENTS, ROUNDS = 8, 12
ABOUT_WAKES = (lease.INTERRUPTED, lease.TOO_LATE)
Verbs = dict[str, Callable[[Entity], Awaitable[Any]]]


class Process:
    """One of the two: does verbs to agents, all at once, and counts what it did."""

    def __init__(self, name: str, rounds: int) -> None:
        self.name = name
        self.rounds, self.number = rounds, 0
        self.done: Counter[str] = Counter()
        self.provenance = Provenance(f"system:{name}")
        self.verbs: Verbs = {
            "deliver": self.deliver, "spawn": self.spawn, "work": self.work, "signal": self.signal,
            "timer": self.timer, "recover": self.recover, "release": self.release, "wake": self.wake,
            "grant": self.grant, "delete": self.delete, "tag": self.tag,
        }  # fmt: skip

    async def run(self) -> None:
        """All verbs to all agents, in an order of this process's own."""
        agents = list(await api.in_thread(lambda: list(Entity.objects.filter(slug__startswith="race-"))))
        for number in range(self.rounds):
            self.number = number
            todo = [(verb, agent) for verb in self.verbs.values() for agent in agents]
            random.Random(f"{self.name}{number}").shuffle(todo)
            await asyncio.gather(*(verb(agent) for verb, agent in todo))

    async def _do(self, what: Any, fence: api.Fence | None = None) -> Any:
        return await api.submit(what, provenance=self.provenance, fence=fence)

    async def deliver(self, agent: Entity) -> None:
        await self._do(inbox.delivery(agent, "user:ada", "hello"))
        self.done["delivered"] += 1
        try:  # both processes use this key, each for what the other does not say
            await self._do(inbox.delivery(agent, "user:ada", self.name, key=f"once-{self.number}"))
            self.done["first"] += 1
        except api.KeyReused:
            self.done["reused"] += 1

    async def spawn(self, agent: Entity) -> None:
        name = f"made-{agent.slug}-{self.number}"  # both processes want the same
        request = spawn.SpawnRequest("assistant", name, "user:ada", "user:ada", message="hi")
        try:
            await self._do(spawn.spawning(request))
            self.done["spawned"] += 1
        except EntityExists:
            self.done["refused"] += 1

    async def work(self, agent: Entity) -> None:
        """Claim, and settle, put off or hand back."""
        claimed, _ = await self._do(claiming_due(self.name, 3))
        for number, one in enumerate(claimed):
            self.done["claimed"] += 1
            ends = (lease.settling(one), lease.failing(one, "again"), lease.handing_back(one))
            try:
                await self._do(lease.renewing(self.name, [one]))
                await self._do(ends[number % 3], one.fence)
            except api.StaleEpoch:
                self.done["overtaken"] += 1

    async def signal(self, agent: Entity) -> None:
        await self._do(signals.signalling(agent, "SIGINT", "user:ada"))
        self.done["signalled"] += 1

    async def timer(self, agent: Entity) -> None:
        key = f"{self.name}-{agent.pk}-{self.number}"

        def run(unit: api.Unit) -> None:
            Timer.objects.create(
                entity_id=agent.pk, sender="user:ada", payload="due", key=key,
                due_at=unit.now, created_at=unit.now,
            )  # fmt: skip

        await api.in_thread(lambda: api.unit(run, provenance=self.provenance))
        self.done["timed"] += 1  # a unit may run more than once

    async def recover(self, agent: Entity) -> None:
        await self._do(lease.recovering(dead_owners=["nobody"]))

    async def release(self, agent: Entity) -> None:
        await self._do(signals.releasing_lease(agent))

    async def wake(self, agent: Entity) -> None:
        await self._do(wake.requesting_manual(agent, "user:ada"))
        self.done["woken"] += 1

    async def grant(self, agent: Entity) -> None:
        who = f"user:ben-{self.name}"

        def give() -> None:
            Grant.objects.update_or_create(
                stream_id=agent.stream_id, principal=who, defaults={"role": "chat"}
            )

        await api.in_thread(give)

    async def delete(self, agent: Entity) -> None:
        """Make an agent, and delete it as the admin does."""

        def run() -> None:
            new = NewEntity("assistant", f"gone-{self.name}-{agent.pk}-{self.done['deleted']}", message="hi")
            self.done["deleted"] += 1
            Entity.objects.get(pk=spawn_now(ADA, new).pk).stream.delete()

        await api.in_thread(run)

    async def tag(self, agent: Entity) -> None:
        """A unit with the ORM, which names no stream beforehand and comes to two."""
        other = await api.in_thread(lambda: Entity.objects.exclude(pk=agent.pk).earliest("id"))

        def run(unit: api.Unit) -> None:
            for stream in (agent.stream_id, other.stream_id):
                unit.append(stream, [api.NewEvent("note", "n", {"by": self.name}, "upsert")])

        await self._do(run)
        self.done["tagged"] += 1


def do_everything(name: str, rounds: int) -> list[Any]:
    """One process's part; answers what it did, and how many transactions it lost."""
    registry.store()
    process = Process(name, rounds)
    with patch.object(batch, "log") as log:
        asyncio.run(process.run())
    connection.close()
    return [dict(process.done), [str(call) for call in log.warning.call_args_list]]


def test_two_processes_do_every_verb_against_every_other() -> None:
    registry.store()
    for number in range(AGENTS):
        spawn_now(ADA, NewEntity("assistant", f"race-{number}", message="first"))

    with other_process(do_everything, name="there", rounds=ROUNDS) as other:
        other.go()
        here, lost_here = do_everything("here", ROUNDS)
        there, lost_there = other.result()

    done = Counter(here) + Counter(there)
    assert (lost_here, lost_there) == ([], [])
    assert done["spawned"] == done["refused"] == AGENTS * ROUNDS  # one of the two got each name
    assert done["first"] == done["reused"] == AGENTS * ROUNDS  # and each key
    raced = Entity.objects.filter(slug__startswith="race-")
    said = RowRecord.objects.filter(stream__in=raced.values("stream"), type="inbox")
    waiting = Timer.objects.filter(entity__in=raced).count()
    assert said.count() + waiting == AGENTS + done["delivered"] + done["first"] + done["timed"]
    signalled = RowRecord.objects.filter(stream__in=raced.values("stream"), type="signal")
    assert signalled.count() == done["signalled"]
    _every_signal_hit_its_wake(signalled)
    manual = Wake.objects.filter(entity__in=raced, reason=Wake.Reason.MANUAL)
    assert manual.count() == done["woken"]
    assert not Entity.objects.filter(slug__startswith="gone-").exists()
    _no_gap_and_one_lease()


def _every_signal_hit_its_wake(sent: QuerySet[RowRecord]) -> None:
    """A signal that says that it stops a wake marked one, and one that was over says so: nothing ran here."""
    said = dict(sent.values_list("key", "value__outcome"))
    marked = dict(Wake.objects.exclude(interrupted_by="").values_list("interrupted_by", "state"))
    assert marked.keys() == {key for key, outcome in said.items() if outcome in ABOUT_WAKES}
    assert Wake.State.PARKED not in marked.values()
    for key, state in marked.items():
        assert said[key] == (lease.TOO_LATE if state == Wake.State.DONE else lease.INTERRUPTED)
    assert set(said.values()) <= {*ABOUT_WAKES, signals.NOTHING, signals.AGAIN}


def _no_gap_and_one_lease() -> None:
    """Every log is whole; nobody is held but by the wake that is run."""
    for stream in Stream.objects.all():
        offsets = list(stream.events.order_by("offset").values_list("offset", flat=True))
        assert offsets == list(range(1, stream.head + 1)), stream.path
    for entity in Entity.objects.all():
        running = Wake.objects.filter(entity=entity, state=Wake.State.CLAIMED).count()
        assert running == (entity.lease_expires_at is not None), entity.url
