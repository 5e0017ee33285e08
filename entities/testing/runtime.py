"""A worker inside the test's own loop, types that exist for one test, and eyes on the log.

    async def test_something(types):
        @types.define("echo")
        async def echo(ctx, wake):
            await ctx.reply_text(wake.payload)

        async with working() as worker:
            url = await spawn("echo", message="hello")
            await quiet(worker)
        assert (await texts(url)) == ["hello"]

Nothing here sleeps: `quiet` and `until` are woken by the bus, as workers are.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.test import override_settings

from entities import api
from entities.conf import DEFAULT, OFFLINE
from entities.models import Entity, Timer, Wake
from entities.types import script
from entities.types.registry import Registry, registry
from entities.wakes import lease
from entities.wakes.lease import Claimed
from entities.worker import runtime
from entities.worker.runtime import Execution
from entities.worker.worker import Worker
from shared_state import api as streams
from shared_state.api import Event, Hint, Json, Principal, Provenance, Row, clock, in_thread, submit
from shared_state.notify import bus

T = TypeVar("T")
ADA = Principal("user", "ada")
"""The owner of what is made here. A principal needs no row of a user."""
CLEO = Principal("user", "cleo")
"""A stranger, who may see nothing of it."""
TIMEOUT = 20.0  # seconds; two cores are shared with other tests
_slugs = itertools.count(1)


@contextlib.contextmanager
def own_types() -> Iterator[Registry]:
    """The registry, with what is defined inside forgotten afterwards, offline scripts included."""
    kept, aliases, scripts = dict(registry._types), dict(registry._aliases), dict(script._scripts)
    try:
        yield registry
    finally:
        registry._types, registry._aliases = kept, aliases
        script._scripts.clear()
        script._scripts.update(scripts)


@contextlib.contextmanager
def configured(**entities: Any) -> Iterator[None]:
    """Settings of the entities app for a while, such as `RETRY_SECONDS=0.01`."""
    with override_settings(ENTITIES={**getattr(settings, "ENTITIES", {}), **entities}):
        yield


def offline(words_per_second: float = 0) -> dict[str, Any]:
    """`PROVIDERS` with the offline model alone, at a pace."""
    return {DEFAULT: {"BACKEND": OFFLINE, "OPTIONS": {"words_per_second": words_per_second}}}


def anthropic(api_key: str, base_url: str = "") -> dict[str, Any]:
    """`PROVIDERS` with the Messages API alone, at an address."""
    backend = "entities.agent.providers.anthropic.AnthropicProvider"
    return {DEFAULT: {"BACKEND": backend, "OPTIONS": {"api_key": api_key, "base_url": base_url}}}


async def look(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call something that uses the database from a test's loop."""
    return await in_thread(function, *args, **kwargs)


# -- a worker, and waiting for it


@contextlib.asynccontextmanager
async def working(*, concurrency: int | None = None, grace: float = 5.0) -> AsyncIterator[Worker]:
    """A running worker."""
    worker = Worker(concurrency=concurrency)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(grace)


@contextlib.asynccontextmanager
async def _nudges() -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever something was committed in this process."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()

    def hear(hints: Sequence[Hint], nudges: Sequence[str]) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(heard.set)

    bus.listen(hear)
    try:
        yield heard
    finally:
        bus.unlisten(hear)


async def until(condition: Callable[[], object], what: str = "", seconds: float = TIMEOUT) -> None:
    """Wait until a condition on the database is true; it is looked at after every commit."""
    async with _nudges() as heard:
        try:
            async with asyncio.timeout(seconds):
                while not await look(condition):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(heard.wait(), 0.25)
                    heard.clear()
        except TimeoutError:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or condition}") from None


async def quiet(worker: Worker | None = None, seconds: float = TIMEOUT) -> None:
    """Wait until no wake or timer is left to be handled, now or later."""
    await until(_nothing_left, "all wakes to be handled", seconds)
    if worker is not None:
        await worker.idle.wait()


def _nothing_left() -> bool:
    waiting = Wake.objects.filter(state__in=(Wake.State.PENDING, Wake.State.CLAIMED))
    return not waiting.exists() and not Timer.objects.exists()


# -- one wake at a time, without a worker's loops


async def claim(name: str = "test-worker", limit: int = 10) -> list[Claimed]:
    """Claim due wakes as a worker of that name."""
    return await submit(lease.claiming(name, limit), provenance=Provenance(f"system:{name}"))


async def claim_one(name: str = "test-worker") -> Execution:
    """Claim the one wake that is due, ready to be executed."""
    (claimed,) = await claim(name)
    return runtime.prepare(claimed)


async def handle_next(name: str = "test-worker") -> None:
    """Claim and execute the one wake that comes first."""
    (claimed,) = await claim(name, 1)
    await runtime.execute(runtime.prepare(claimed))


async def handle_all(name: str = "test-worker") -> int:
    """Claim and execute until nothing is due; one at a time, so that the order is certain."""
    count = 0
    while found := await claim(name, 1):
        await runtime.execute(runtime.prepare(found[0]))
        count += 1
    return count


async def expire(*urls: str) -> None:
    """Let the leases of these entities end a second ago."""
    past = clock.now() - timedelta(seconds=1)
    await look(Entity.objects.filter(url__in=urls).update, lease_expires_at=past)


async def recover(dead_owners: Collection[str] = ()) -> int:
    """Take back what dead workers held."""
    return await submit(lease.recovering(dead_owners=dead_owners), provenance=Provenance("system:test"))


# -- entities and what is in their logs


async def spawn(
    type: str, slug: str = "", *, args: Mapping[str, Any] | None = None, message: Any = None
) -> str:
    """A new entity of Ada's. Returns its address."""
    new = api.NewEntity(type, slug or f"{type}-{next(_slugs)}", args, message)
    return (await api.spawn(ADA, new)).url


async def tell(url: str, payload: Any, **options: Any) -> Event:
    """Ada sends a message."""
    return await api.deliver(ADA, url, payload, **options)


async def entity(url: str) -> Entity:
    """The entity as it is now."""
    return await look(Entity.objects.select_related("stream", "parent").get, url=url)


async def wakes(url: str, **which: Any) -> list[Wake]:
    """The wakes of an entity, in the order in which they were asked for."""
    return await look(lambda: list(Wake.objects.filter(entity__url=url, **which).order_by("id")))


async def events(path: str, *types: str) -> list[Event]:
    """The log of a stream, by its path; all of it, or only some types."""
    stream = await look(streams.get_stream, path)
    return await look(streams.read, stream.id, limit=100_000, types=types or None)


async def rows(path: str, type: str) -> list[Row]:
    """The rows of a type in a stream, by its path."""
    stream = await look(streams.get_stream, path)
    return await look(streams.rows, stream.id, type)


async def values(path: str, type: str) -> list[Json]:
    """The values of those rows."""
    return [row.value for row in await rows(path, type)]


async def texts(url: str) -> list[str]:
    """What an entity has said, text by text."""
    return [value["content"] for value in await values(url, "text")]


async def said_to(url: str) -> list[Any]:
    """The payloads of the messages in an entity's inbox."""
    return [value["payload"] for value in await values(url, "inbox")]


async def counts(path: str) -> Counter[tuple[str, str]]:
    """How many events of each type and operation a stream holds."""
    return Counter((event.type, event.operation) for event in await events(path))
