"""Workers come and go, in good order or not; what people asked for is done, once."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.acceptance.conftest import Many
from tests.support.processes import Process
from tests.support.waiting import wait_until

STORY = "Please tell me a long story about the sea, a ship and its captain."


def asleep(many: Many, worker: Process) -> Process:
    """Let a worker that runs do nothing for now. It is not stopped while it holds the write lock."""

    def stopped() -> bool:
        os.kill(worker.pid, signal.SIGSTOP)
        if not many.write_locked():
            return True
        awake(worker)
        return False

    wait_until(stopped, "a moment at which the worker writes nothing")
    return worker


def awake(worker: Process) -> None:
    """Let it go on."""
    os.kill(worker.pid, signal.SIGCONT)


def test_another_worker_finishes_what_a_killed_one_began(many: Many) -> None:
    """Both see each other's lock files, so nobody waits for a lease to end."""
    heir = asleep(many, many.worker())
    first = many.worker()
    url = many.ada.debate("killed")
    many.ada.wait(lambda: many.ada.arguments(url), "the first argument")

    first.kill()
    before = many.ada.activity(url)
    awake(heir)
    took = many.ada.wait(lambda: many.ada.activity(url) > before + 2, "the heir's first words", 10)

    assert took < 2.5
    many.ada.settle(url)
    many.ada.require_sound(url)
    assert heir.stop(signal.SIGTERM) < 5


def test_a_worker_on_another_machine_takes_over_when_the_lease_ends(many: Many) -> None:
    """It cannot see the dead one's lock file; the lease is what it has to wait for, and little more."""
    lease = 2.0
    short = {"AGENTS_LEASE_SECONDS": str(lease)}
    heir = asleep(many, many.worker(**short, AGENTS_WORKER_LOCK_DIR=str(many.folder / "another-machine")))
    first = many.worker(**short)
    url = many.ada.debate("far-away")
    many.ada.wait(lambda: many.ada.arguments(url), "the first argument")

    first.kill()
    killed = time.monotonic()
    awake(heir)
    before = many.ada.activity(url)
    many.ada.wait(lambda: many.ada.activity(url) > before + 2, "the heir's first words", 15)

    assert time.monotonic() - killed < lease + 5
    many.ada.settle(url)
    many.ada.require_sound(url)


def test_a_message_that_was_accepted_while_no_worker_ran_is_answered_when_one_starts(many: Many) -> None:
    url = many.ada.start("assistant", "patient", "Hello!")
    many.ada.tell(url, "Is anybody there?")
    assert many.ada.rows(url, "run") == {}

    many.worker()

    many.ada.wait(lambda: many.ada.texts(url), "an answer")

    def processed() -> bool:
        return {row["status"] for row in many.ada.rows(url, "inbox").values()} == {"processed"}

    many.ada.wait(processed, "both messages to be processed")


def test_a_worker_that_is_asked_to_stop_finishes_first(many: Many) -> None:
    worker = many.worker("--grace", "30")
    url = many.ada.start("assistant", "storyteller", STORY)
    many.ada.wait(lambda: many.ada.events(url, "text_delta"), "the first words")

    worker.stop(signal.SIGTERM, 30)

    assert [run["status"] for run in many.ada.rows(url, "run").values()] == ["completed"]
    assert "worker_stopped" in worker.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_without_grace_hands_back_at_once_and_another_goes_on(
    many: Many, number: signal.Signals
) -> None:
    worker = many.worker("--grace", "0", AGENTS_OFFLINE_WORDS_PER_SECOND="3")
    url = many.ada.start("assistant", f"stopped-by-{number.name.lower()}", STORY)
    many.ada.wait(lambda: many.ada.events(url, "text_delta"), "the first words")

    assert worker.stop(number) < 5
    assert [run["status"] for run in many.ada.rows(url, "run").values()] == ["started"]

    many.worker(AGENTS_OFFLINE_WORDS_PER_SECOND="0")
    # The text comes first, the run's end after it; a slow machine shows the moment between them.
    many.ada.wait(
        lambda: [run["status"] for run in many.ada.rows(url, "run").values()] == ["completed"],
        "the end of the run",
    )
    assert len(many.ada.texts(url)) == 1
