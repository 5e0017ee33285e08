"""A worker warns that a lease was not renewed when something was lost by it, and never otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import pytest

from entities.lifecycle import signals
from entities.models import Wake
from entities.testing.runtime import ADA, entity, look, quiet, spawn, working
from entities.types.registry import Registry
from entities.worker import worker as worker_module
from shared_state.api import Provenance, submit

Meanwhile = Callable[["Handling"], Awaitable[None]]
HERE = Provenance(str(ADA))


class Handling:
    """An agent whose handler waits until the test lets it go, and the worker that runs it."""

    def __init__(self, types: Registry) -> None:
        self.url = ""
        self.entered = asyncio.Semaphore(0)
        self.leave = asyncio.Event()

        @types.define("patient")
        async def patient(ctx: Any, wake: Any) -> None:
            self.entered.release()
            await self.leave.wait()


async def nothing(handling: Handling) -> None:
    """The run goes on."""


async def settled(handling: Handling) -> None:
    """The handler ends."""
    handling.leave.set()
    await quiet()


async def claimed_anew(handling: Handling) -> None:
    """Somebody releases the lease, and the worker takes the wake again."""
    await submit(signals.releasing_lease(await entity(handling.url)), provenance=HERE)
    await handling.entered.acquire()


async def lost(handling: Handling) -> None:
    """Somebody releases the lease, and the wake is put off: nobody runs it."""
    await look(Wake.objects.update, state=Wake.State.PARKED)
    await submit(signals.releasing_lease(await entity(handling.url)), provenance=HERE)


@pytest.mark.parametrize(
    ("meanwhile", "warnings"),
    [(nothing, 0), (settled, 0), (claimed_anew, 0), (lost, 1)],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_renewal_warns_only_if_something_is_lost(
    meanwhile: Meanwhile, warnings: int, types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between what the worker means to renew and the renewal, much may happen."""
    handling = Handling(types)
    handling.url = await spawn("patient", message="wait")
    log = Mock()
    monkeypatch.setattr(worker_module, "logger", log)
    async with working() as worker:
        await handling.entered.acquire()
        unit = worker._unit

        async def after(verb: Any) -> Any:
            monkeypatch.setattr(worker, "_unit", unit)
            await meanwhile(handling)
            return await unit(verb)

        monkeypatch.setattr(worker, "_unit", after)
        await worker._renew()
        handling.leave.set()

    said = [call.args[0] for call in log.warning.call_args_list]
    assert said == ["lease_not_renewed"] * warnings
