"""The worker: nudged, polling for what no nudge told it, many at once, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from entities import api
from entities.conf import conf
from entities.models import Entity, Timer, Wake
from entities.testing.runtime import (
    claim,
    configured,
    entity,
    handle_all,
    look,
    quiet,
    said_to,
    spawn,
    texts,
    until,
    wakes,
    working,
)
from entities.types.registry import Registry
from entities.worker import worker as worker_module
from entities.worker.worker import Worker, claiming_due
from shared_state.api import Principal, Provenance, submit
from shared_state.models import Stream
from shared_state.notify import bus


@pytest.fixture
def note(types: Registry) -> None:
    """A type that says its message."""

    @types.define("note")
    async def note(ctx: Any, wake: Any) -> None:
        await ctx.reply_text(wake.payload)


class Patient:
    """A type whose handler waits until the test lets it go."""

    def __init__(self, types: Registry) -> None:
        self.entered = asyncio.Semaphore(0)
        self.leave = asyncio.Event()
        self.calls = 0

        @types.define("patient")
        async def patient(ctx: Any, wake: Any) -> None:
            self.calls += 1
            self.entered.release()
            await self.leave.wait()
            await ctx.reply_text(f"call {self.calls}")


# -- looking


@pytest.mark.usefixtures("note")
async def test_a_nudge_is_enough() -> None:
    with configured(POLL_SECONDS=60):
        async with working() as worker:
            await worker.idle.wait()
            url = await spawn("note", message="hello")
            await until(lambda: Wake.objects.filter(state="done").exists(), "the wake", 5)

    assert await texts(url) == ["hello"]


@pytest.mark.usefixtures("note")
async def test_a_lost_nudge_is_made_good_by_the_poll() -> None:
    with configured(POLL_SECONDS=0.05):
        async with working() as worker:
            await worker.idle.wait()
            bus.unlisten(worker._hear)
            await spawn("note", message="hello")
            await until(lambda: Wake.objects.filter(state="done").exists(), "the poll", 5)
            bus.listen(worker._hear)


async def test_many_entities_run_at_once_but_no_more_than_allowed(types: Registry) -> None:
    patient = Patient(types)
    for _ in range(5):
        await spawn("patient", message="wait")
    async with working(concurrency=3) as worker:
        for _ in range(3):
            await patient.entered.acquire()
        running = await look(Entity.objects.filter(lease_expires_at__isnull=False).count)
        assert (running, patient.calls) == (3, 3)
        patient.leave.set()
        await quiet(worker)

    assert patient.calls == 5


@pytest.mark.usefixtures("note")
async def test_64_agents_of_one_person_that_wait_for_a_model_keep_nobody_elses_waiting(
    types: Registry,
) -> None:
    """The default is made for handlers that do nothing but wait: the next person's agent runs at once."""
    patient = Patient(types)
    for _ in range(64):
        await spawn("patient", message="think for a minute")
    async with working() as worker:
        async with asyncio.timeout(20):
            for _ in range(64):
                await patient.entered.acquire()
        new = api.NewEntity("note", "of-ben", message="hello")
        bens = (await api.spawn(Principal("user", "ben"), new)).url
        await until(lambda: Wake.objects.filter(entity__url=bens, state="done").exists(), "Ben's answer")
        assert await look(Wake.objects.filter(state="claimed").count) == 64
        patient.leave.set()
        await quiet(worker)

    assert await texts(bens) == ["hello"]


@pytest.mark.usefixtures("note")
async def test_two_workers_share_the_work_and_nothing_is_done_twice() -> None:
    urls = [await spawn("note", message=f"message {number}") for number in range(30)]
    async with working(concurrency=2), working(concurrency=2):
        await quiet()

    assert [await texts(url) for url in urls] == [[f"message {number}"] for number in range(30)]
    attempts = await look(lambda: set(Wake.objects.values_list("attempts", flat=True)))
    assert attempts == {1}


async def test_a_paused_entitys_wakes_wait(types: Registry) -> None:
    patient = Patient(types)
    patient.leave.set()
    url = await spawn("patient", message="wait")
    await look(Entity.objects.filter(url=url).update, state=Entity.State.PAUSED)

    assert await claim() == []
    await look(Entity.objects.filter(url=url).update, state=Entity.State.IDLE)
    assert await handle_all() == 1


async def test_waiting_for_what_cannot_be_claimed_does_not_spin(types: Registry) -> None:
    """A wake that is due, but not to be claimed, must not keep the worker looking again and again."""
    Patient(types)
    url = await spawn("patient", message="wait")
    await look(Entity.objects.filter(url=url).update, state=Entity.State.PAUSED)

    assert await submit(claiming_due("w", 1), provenance=Provenance("system:w")) == ([], None)


# -- timers


async def test_a_message_for_later_arrives_later(types: Registry) -> None:
    patient = Patient(types)
    patient.leave.set()

    @types.define("sender")
    async def sender(ctx: Any, wake: Any) -> None:
        await ctx.send("/patient/p", "in an hour", after=timedelta(hours=1))
        await ctx.send("/patient/p", "now")

    await spawn("patient", "p")
    await spawn("sender", message="go")
    async with working() as worker:
        await until(lambda: Wake.objects.filter(entity__url="/patient/p", state="done").exists())
        assert await said_to("/patient/p") == ["now"]
        await look(Timer.objects.update, due_at=timezone.now() + timedelta(milliseconds=50))
        worker._look.set()
        await quiet(worker)

    assert await said_to("/patient/p") == ["now", "in an hour"]
    assert await look(Timer.objects.count) == 0


async def test_a_timer_fires_by_itself(types: Registry) -> None:
    @types.define("snoozer")
    async def snoozer(ctx: Any, wake: Any) -> None:
        if wake.payload == "go":
            await ctx.send(ctx.entity_url, "ring", after=timedelta(seconds=0.05))
        else:
            await ctx.reply_text(f"{wake.payload} from {wake.source}")

    url = await spawn("snoozer", message="go")
    with configured(POLL_SECONDS=60):
        async with working() as worker:
            await quiet(worker)

    assert await texts(url) == [f"ring from agent:{url}"]


@pytest.mark.parametrize(
    "end",
    [
        lambda: Entity.objects.filter(url="/patient/p").update(state=Entity.State.STOPPED),
        lambda: Stream.objects.filter(path="/patient/p").update(closed=True),
    ],
    ids=["stopped", "its log was closed"],
)
async def test_a_timer_for_one_that_takes_nothing_is_dropped_and_holds_nobody_up(
    types: Registry, end: Callable[[], int]
) -> None:
    Patient(types)

    @types.define("sender")
    async def sender(ctx: Any, wake: Any) -> None:
        await ctx.send("/patient/p", "too late", after=timedelta(hours=1))

    await spawn("patient", "p")
    await spawn("sender", message="go")
    await handle_all()
    await look(end)
    await look(Timer.objects.update, due_at=timezone.now())

    @types.define("other")
    async def other(ctx: Any, wake: Any) -> None:
        await ctx.reply_text("I am here.")

    url = await spawn("other", message="are you?")
    async with working():
        await quiet()

    assert await said_to("/patient/p") == []
    assert await texts(url) == ["I am here."]


# -- stopping


async def test_a_stop_lets_handlers_finish(types: Registry) -> None:
    patient = Patient(types)
    url = await spawn("patient", message="wait")
    async with working() as worker:
        await patient.entered.acquire()
        stopping = asyncio.create_task(worker.stop(10))
        patient.leave.set()
        await stopping

    assert await texts(url) == ["call 1"]
    assert (await wakes(url))[0].state == Wake.State.DONE


async def test_a_stop_hands_back_what_does_not_finish_and_the_attempt_does_not_count(types: Registry) -> None:
    patient = Patient(types)
    url = await spawn("patient", message="wait")
    async with working(grace=0) as worker:
        await patient.entered.acquire()
        await worker.stop(0)
        (wake,) = await wakes(url)
        assert (wake.state, wake.attempts) == (Wake.State.PENDING, 0)
        assert (await entity(url)).lease_expires_at is None

    patient.leave.set()
    async with working() as successor:
        await quiet(successor)
    assert await texts(url) == ["call 2"]
    assert (await wakes(url))[0].attempts == 1


async def test_a_stop_at_any_moment_of_a_claim_leaves_no_lease_behind(types: Registry) -> None:
    """What a claim takes while the worker is told to stop is run or given back, not forgotten."""
    patient = Patient(types)
    for delay in range(12):
        await spawn("patient", message="wait")
        worker = Worker()
        await worker.start()
        for _ in range(delay):
            await asyncio.sleep(0)
        await worker.stop(0)
        assert not await look(Entity.objects.filter(lease_expires_at__isnull=False).exists), delay
        assert not await look(Wake.objects.filter(state="claimed").exists), delay
    patient.leave.set()


async def test_a_stopped_worker_claims_nothing_more(types: Registry) -> None:
    patient = Patient(types)
    async with working() as worker:
        await worker.stop()
        url = await spawn("patient", message="wait")

    assert patient.calls == 0
    assert [wake.state for wake in await wakes(url)] == [Wake.State.PENDING]


async def test_stopping_twice_is_stopping_once(types: Registry) -> None:
    async with working() as worker:
        await worker.stop()
        await worker.stop()


async def test_a_handler_that_will_not_be_cancelled_does_not_keep_the_worker(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "END_SECONDS", 0.05)
    entered, leave = asyncio.Event(), asyncio.Event()

    @types.define("stubborn")
    async def stubborn(ctx: Any, wake: Any) -> None:
        entered.set()
        while not leave.is_set():
            try:
                await leave.wait()
            except asyncio.CancelledError:
                continue

    await spawn("stubborn", message="go")
    async with working() as worker:
        await entered.wait()
        async with asyncio.timeout(5):
            await worker.stop(0)
        leave.set()


# -- the lock file


async def test_a_running_worker_holds_its_lock(types: Registry) -> None:
    async with working() as worker:
        assert (conf.worker_lock_dir / f"{worker.name}.lock").exists()
        assert await look(worker_module.dead_workers) == []

    assert not (conf.worker_lock_dir / f"{worker.name}.lock").exists()


async def test_a_dead_workers_entities_are_taken_over_at_once(types: Registry) -> None:
    """Its lock file is there and free: nobody waits for the lease to end."""
    Patient(types).leave.set()
    url = await spawn("patient", message="wait")
    await claim("dead:1:x")
    lock = conf.worker_lock_dir / "dead:1:x.lock"
    lock.touch()
    async with working() as heir:
        await quiet(heir, 5)

    assert await texts(url) == ["call 1"]
    assert not lock.exists()


async def test_a_death_is_noticed_while_the_worker_runs(types: Registry) -> None:
    Patient(types).leave.set()
    url = await spawn("patient", message="wait")
    await claim("dead:2:x")
    async with working() as worker:
        await worker.idle.wait()
        assert await texts(url) == []
        (conf.worker_lock_dir / "dead:2:x.lock").touch()
        await quiet(worker, 5)

    assert await texts(url) == ["call 1"]
