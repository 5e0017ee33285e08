"""One handler at a time for each entity, across processes: leases, epochs, and what dead workers leave."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from entities import api
from entities.lifecycle import inbox
from entities.models import Entity, Wake
from entities.testing.runtime import (
    ADA,
    claim,
    claim_one,
    configured,
    entity,
    expire,
    handle_all,
    look,
    quiet,
    recover,
    spawn,
    tell,
    texts,
    until,
    values,
    wakes,
    working,
)
from entities.types.registry import Registry
from entities.wakes import lease
from entities.worker import runtime
from shared_state.api import Provenance, StaleEpoch, submit


@pytest.fixture
def noted(types: Registry) -> list[str]:
    """A type that says its message; the list has one entry for each call of the handler."""
    calls: list[str] = []

    @types.define("note")
    async def note(ctx: Any, wake: Any) -> None:
        calls.append(f"{wake.payload} by epoch {ctx.session.fence.epoch}")
        await ctx.reply_text(wake.payload)

    return calls


async def test_an_entity_is_claimed_once(noted: list[str]) -> None:
    await spawn("note", message="hello")

    both = await asyncio.gather(claim("one"), claim("two"))

    assert sorted(len(found) for found in both) == [0, 1]


async def test_no_other_wake_of_a_running_entity_is_claimed(noted: list[str]) -> None:
    url = await spawn("note", message="first")
    await claim("one")
    await tell(url, "second")

    assert await claim("two") == []


async def test_the_status_is_running_while_the_lease_is_held_and_not_a_moment_longer(
    noted: list[str],
) -> None:
    url = await spawn("note", message="hello")
    execution = await claim_one()
    assert (await entity(url)).status == "running"

    await runtime.execute(execution)
    assert (await entity(url)).status == "idle"


async def test_a_message_sent_meanwhile_does_not_make_the_list_forget_who_runs(noted: list[str]) -> None:
    """The sender looked the agent up before a worker claimed it, and delivers after."""
    url = await spawn("note", message="hello")
    before = await entity(url)
    await claim_one()

    await submit(inbox.delivery(before, "user:ada", "and?"), provenance=Provenance("user:ada"))

    (listed,) = await values("presence:user:ada", "agent")
    assert listed["status"] == "running"
    assert listed["lease_until"]


async def test_a_crash_leaves_nobody_running(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    await claim("dies")
    await expire(url)

    assert (await entity(url)).status == "idle"


async def test_a_wake_runs_again_when_its_lease_has_ended(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    await claim("dies")
    await expire(url)
    assert await claim("too early") == []

    assert await recover() == 1
    await handle_all("heir")
    assert await texts(url) == ["hello"]
    (settled,) = await wakes(url)
    assert (settled.state, settled.attempts) == (Wake.State.DONE, 2)


async def test_a_worker_that_lost_its_lease_is_refused(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    stale = await claim_one("frozen")
    await expire(url)
    await recover()
    heir = await claim_one("heir")

    await runtime.execute(stale)
    assert await texts(url) == []
    await runtime.execute(heir)

    assert len(noted) == 2
    assert await texts(url) == ["hello"]


async def test_a_stale_worker_can_neither_write_nor_settle_nor_hand_back(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    stale = await claim_one("frozen")
    await expire(url)
    await recover()

    for ending in (lease.settling, lease.handing_back, partial(lease.failing, message="x")):
        with pytest.raises(StaleEpoch):
            await submit(
                ending(stale.claimed),
                provenance=Provenance("system:frozen"),
                fence=stale.claimed.fence,
            )
    with pytest.raises(StaleEpoch):
        await stale.session.append([])
    assert [found.state for found in await wakes(url)] == [Wake.State.PENDING]


async def test_a_dead_workers_lease_need_not_be_waited_for(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    await claim("dead")

    assert await recover(dead_owners=["somebody else"]) == 0
    assert await recover(dead_owners=["dead"]) == 1
    await handle_all("heir")
    assert await texts(url) == ["hello"]


async def test_a_lease_that_is_renewed_lives_on(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    (claimed,) = await claim("alive")
    before = (await entity(url)).lease_expires_at
    assert before is not None

    held = await submit(lease.renewing("alive", [claimed]), provenance=Provenance("system:alive"))

    after = (await entity(url)).lease_expires_at
    assert held == {claimed.entity.pk}
    assert after is not None
    assert after > before


async def test_a_lease_that_ended_cannot_be_renewed(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    (claimed,) = await claim("slow")
    await expire(url)

    held = await submit(lease.renewing("slow", [claimed]), provenance=Provenance("system:slow"))

    assert held == set()


async def test_a_running_worker_renews_its_leases(types: Registry) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    @types.define("patient")
    async def patient(ctx: Any, wake: Any) -> None:
        entered.set()
        await leave.wait()

    with configured(LEASE_SECONDS=0.3):
        url = await spawn("patient", message="wait")
        async with working() as worker:
            await entered.wait()
            first = (await entity(url)).lease_expires_at
            assert first is not None
            longer = Entity.objects.filter(url=url, lease_expires_at__gt=first)
            await until(longer.exists, "renewal")
            leave.set()
            await quiet(worker)

    (settled,) = await wakes(url)
    assert settled.attempts == 1


async def test_a_run_whose_lease_was_lost_is_stopped(types: Registry) -> None:
    """Its writes are refused in any case; but it should not go on thinking, either."""
    entered, cancelled = asyncio.Event(), asyncio.Event()

    @types.define("patient")
    async def patient(ctx: Any, wake: Any) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with configured(LEASE_SECONDS=0.3):
        url = await spawn("patient", message="wait")
        async with working():
            await entered.wait()
            stolen = {"lease_owner": "thief", "lease_expires_at": timezone.now() + timedelta(hours=1)}
            await look(Entity.objects.filter(url=url).update, **stolen)
            async with asyncio.timeout(5):
                await cancelled.wait()


async def test_a_worker_takes_over_from_one_whose_lease_ended(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    await claim("dies")
    async with working() as worker:
        await expire(url)
        await quiet(worker)

    assert await texts(url) == ["hello"]


async def test_a_busy_worker_takes_over_too(types: Registry, noted: list[str]) -> None:
    """A long run of its own must not keep a worker from seeing what others left behind."""
    leave = asyncio.Event()

    @types.define("patient")
    async def patient(ctx: Any, wake: Any) -> None:
        await leave.wait()

    url = await spawn("note", message="hello")
    await claim("dies")
    busy = await spawn("patient", message="wait")
    async with working():
        await until(lambda: Entity.objects.filter(url=busy, lease_expires_at__isnull=False).exists(), "busy")
        await expire(url)
        await until(lambda: Wake.objects.filter(entity__url=url, state="done").exists(), "the takeover", 5)
        leave.set()

    assert await texts(url) == ["hello"]


async def test_a_released_lease_is_free_at_once_and_its_holder_is_refused(noted: list[str]) -> None:
    url = await spawn("note", message="hello")
    holder = await claim_one("holder")

    assert await look(api.release_lease, ADA, await entity(url)) is True
    await handle_all("other")
    await runtime.execute(holder)

    assert await texts(url) == ["hello"]
    assert [call for call in noted if call.startswith("hello")] != []


async def test_a_lease_released_under_a_running_worker_is_claimed_by_it_again(types: Registry) -> None:
    """The same process holds the old run and the new one; only the new one counts."""
    entered = [asyncio.Event(), asyncio.Event()]
    leave = asyncio.Event()
    calls: list[int] = []

    @types.define("patient")
    async def patient(ctx: Any, wake: Any) -> None:
        calls.append(ctx.session.fence.epoch)
        entered[len(calls) - 1].set()
        await leave.wait()
        await ctx.reply_text(f"epoch {ctx.session.fence.epoch}")

    url = await spawn("patient", message="wait")
    async with working() as worker:
        await entered[0].wait()
        await look(api.release_lease, ADA, await entity(url))
        async with asyncio.timeout(5):
            await entered[1].wait()
        leave.set()
        await quiet(worker)

    assert await texts(url) == [f"epoch {calls[1]}"]


async def test_the_epoch_grows_with_every_lease(noted: list[str]) -> None:
    url = await spawn("note", message="one")
    await handle_all()
    await tell(url, "two")
    await handle_all()

    epochs = [int(call.rsplit(" ", 1)[1]) for call in noted]
    assert epochs == sorted(set(epochs))
    assert len(epochs) == 2
