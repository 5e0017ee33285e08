"""A debate that is killed at every commit, and must come out the same.

One worker runs a scripted debate undisturbed; what it leaves behind is what every other run is compared with.
Then, for each moment just before and just after a commit, on a fresh copy of the database: a worker kills
itself there (SIGKILL: no handler, no clean-up), another worker goes on to the end, and the two outcomes are
compared. `manage.py crashtest` is the command.

Each run is a process forked from one that has neither a thread nor a database connection, so that a boundary
costs a run and not a start of Python. Always on SQLite, and on the offline model without a pace: what is
tested is the order of our own commits, not the durability of a database.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from entities import api
from entities.conf import DEFAULT, OFFLINE
from entities.models import Wake
from entities.testing.outcome import differences, outcome
from entities.worker.worker import Worker
from shared_state.api import Principal, in_thread
from shared_state.write import batch

OWNER = Principal("user", "crashtest")
SLUG = "crashtest"
TOPIC = "should cities ban private cars?"
TIMEOUT_SECONDS = 60.0
"""How long one run may take, in seconds."""
POLL_SECONDS = 0.002
"""How often a run looks whether it is over, in seconds."""


@dataclass(frozen=True)
class Verdict:
    """What came of one boundary: `reached` if the worker got there, and what differed afterwards."""

    boundary: int
    reached: bool
    differences: tuple[str, ...] = ()


@dataclass
class Report:
    """All verdicts of one test."""

    boundaries: int
    """How many there are: two for each commit of the undisturbed run."""
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """How many times a worker was killed."""
        return sum(verdict.reached for verdict in self.verdicts)

    @property
    def divergences(self) -> list[Verdict]:
        """Those that did not come out the same."""
        return [verdict for verdict in self.verdicts if verdict.differences]


def crashtest(
    *, rounds: int = 1, every: int = 1, jobs: int = 2, say: Callable[[Verdict], None] = lambda verdict: None
) -> Report:
    """Run the whole test; `every` takes one boundary in so many. No connection or thread may be there yet."""
    with tempfile.TemporaryDirectory(prefix="agents-crashtest-") as name:
        folder = Path(name)
        _forked(folder / "template", lambda: _prepare(rounds))
        expected = _forked(_copy(folder, "undisturbed"), _run)
        report = Report(expected["commits"])
        chosen = range(1, report.boundaries + 1, every)
        lanes = [_Lane(folder / f"lane-{number}", chosen[number::jobs]) for number in range(jobs)]
        for lane in lanes:
            lane.start(folder / "template", expected["outcome"])
        for lane in lanes:
            for verdict in lane.verdicts():
                report.verdicts.append(verdict)
                say(verdict)
    report.verdicts.sort(key=lambda verdict: verdict.boundary)
    return report


@dataclass
class _Lane:
    """A process that tries its share of the boundaries, one after the other."""

    folder: Path
    boundaries: Sequence[int]
    _pid: int = 0

    def start(self, template: Path, expected: Any) -> None:
        self.folder.mkdir()
        reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(writer)
            self._results = os.fdopen(reader)
            return
        with _whole_life(), os.fdopen(writer, "w") as results:
            for boundary in self.boundaries:
                verdict = _try(boundary, self.folder, template, expected)
                print(
                    json.dumps([verdict.boundary, verdict.reached, verdict.differences]),
                    file=results,
                    flush=True,
                )

    def verdicts(self) -> Iterator[Verdict]:
        with self._results as results:
            for line in results:
                boundary, reached, found = json.loads(line)
                yield Verdict(boundary, reached, tuple(found))
        _, status = os.waitpid(self._pid, 0)
        if status:
            raise RuntimeError(f"A lane of the crash test ended with {os.waitstatus_to_exitcode(status)}.")


def _try(boundary: int, folder: Path, template: Path, expected: Any) -> Verdict:
    home = folder / f"boundary-{boundary}"
    shutil.copytree(template, home)
    first = _forked(home, lambda: _run(die_at=boundary))
    found = first if first is not None else _forked(home, _run)
    shutil.rmtree(home)
    if found is None:
        return Verdict(boundary, True, ("the second worker died too",))
    return Verdict(boundary, first is None, tuple(differences(expected, found["outcome"])))


def _copy(folder: Path, name: str) -> Path:
    shutil.copytree(folder / "template", folder / name)
    return folder / name


# -- in a process of its own


def _forked(home: Path, work: Callable[[], Any]) -> Any:
    """Do something in a child process, with a database in `home`. Returns its answer; None if killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        with _whole_life(), os.fdopen(writer, "w") as answer:
            _settle_in(home)
            json.dump(work(), answer)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return None
    if code:
        raise RuntimeError(f"A process of the crash test ended with {code}; its reason is above.")
    return json.loads(said)


@contextmanager
def _whole_life() -> Iterator[None]:
    """The whole life of a child: it ends here, without the parent's clean-up, and says what went wrong."""
    try:
        yield
    except BaseException:
        logging.getLogger(__name__).exception("crashtest_failed")
        logging.shutdown()
        os._exit(1)
    os._exit(0)


def _settle_in(home: Path) -> None:
    """Make the settings those of a small installation in `home`."""
    home.mkdir(exist_ok=True)
    for known in connections.all(initialized_only=True):
        del connections[known.alias]
    connections.settings["default"] |= {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(home / "db.sqlite3"),
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
    }
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.ENTITIES = {
        **settings.ENTITIES,
        "PROVIDERS": {DEFAULT: {"BACKEND": OFFLINE, "OPTIONS": {"words_per_second": 0}}},
        "DELTAS_PER_SECOND": 1000,
        "WORKER_LOCK_DIR": str(home / "workers"),
    }


def _prepare(rounds: int) -> None:
    call_command("migrate", verbosity=0, interactive=False)
    plural = "round" if rounds == 1 else "rounds"
    api.spawn_now(OWNER, api.NewEntity("debate", SLUG, message=f"Debate in {rounds} {plural}: {TOPIC}"))


def _run(die_at: int = 0) -> dict[str, Any]:
    """Run a worker until nothing is left to do, or until the boundary."""
    passed = 0

    def count(moment: str) -> None:
        nonlocal passed
        passed += 1
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    batch.commit_hook = count
    asyncio.run(_work())
    return {"commits": passed, "outcome": outcome()}


async def _work() -> None:
    worker = Worker(concurrency=1)  # so that the order of everything is certain
    await worker.start()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not await in_thread(_is_over):
            await worker.idle.wait()
            await asyncio.sleep(POLL_SECONDS)  # what comes next is claimed by now, or nothing is
    await worker.stop()


def _is_over() -> bool:
    return not Wake.objects.filter(state__in=(Wake.State.PENDING, Wake.State.CLAIMED)).exists()
