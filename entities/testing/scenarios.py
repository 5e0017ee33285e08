"""What a crash test lets happen, and where it may be cut off. Every part of it can be done again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from entities import api
from entities.models import Entity, Wake
from entities.worker.worker import Worker
from shared_state.api import Principal, database, in_thread
from shared_state.models import Grant, RowRecord
from shared_state.write import batch

OWNER = Principal("user", "crashtest")
SLUG = "crashtest"
TOPIC = "should cities ban private cars?"
MESSAGES = 3
"""How many messages a round of `joined` sends, each in a transaction of the caller's."""
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


SCENARIOS = {
    "debate": Scenario(_prepare_debate, _debate),
    "joined": Scenario(_prepare_joined, _joined, _torn_joined),
}
