"""A scenario that is killed at every commit, and must come out the same.

It is done undisturbed once (a scripted debate, for instance); what that leaves behind is what every other run
is compared with. Then, for each moment just before and just after a commit, on a fresh copy of the database:
a process kills itself there (SIGKILL: no handler, no clean-up), nothing may be there by half, another goes on
to the end, and the two outcomes are compared. `manage.py crashtest` is the command.

Each run is a process forked from one that has neither a thread nor a database connection, so that a boundary
costs a run and not a start of Python. On SQLite or PostgreSQL, as the settings say, in databases of its own
(`places`); and on the offline model without a pace: what is tested is the order of our own commits, not the
durability of a database. After every death, and at the end, the doctor must find nothing.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.management import call_command

from entities.testing import places
from entities.testing.outcome import differences, outcome
from entities.testing.scenarios import SCENARIOS, Scenario
from entities.upkeep import doctor


@dataclass(frozen=True)
class Verdict:
    """What came of one boundary: `reached` if a process died there, and what differed afterwards."""

    boundary: int
    reached: bool
    differences: tuple[str, ...] = ()


@dataclass
class Report:
    """All verdicts of one test."""

    boundaries: int
    """How many there are: two for each commit of the undisturbed run, and others that the scenario names."""
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """How many times a process was killed."""
        return sum(verdict.reached for verdict in self.verdicts)

    @property
    def divergences(self) -> list[Verdict]:
        """Those that did not come out the same."""
        return [verdict for verdict in self.verdicts if verdict.differences]


def crashtest(
    scenario: str = "debate",
    *,
    rounds: int = 1,
    every: int = 1,
    jobs: int = 2,
    say: Callable[[Verdict], None] = lambda verdict: None,
) -> Report:
    """Run the whole test; `every` takes one boundary in so many. No connection or thread may be there yet."""
    with tempfile.TemporaryDirectory(prefix="agents-crashtest-") as name:
        folder, chosen_scenario = Path(name), SCENARIOS[scenario]
        template, undisturbed = folder / "template", folder / "undisturbed"
        places.make(template)
        _forked(template, lambda: _prepare(chosen_scenario, rounds))
        places.copy(template, undisturbed)
        expected = _forked(undisturbed, lambda: _run(chosen_scenario, rounds))
        places.remove(undisturbed)
        report = Report(expected["boundaries"])
        chosen = range(1, report.boundaries + 1, every)
        lanes = [
            _Lane(chosen_scenario, rounds, folder / f"lane-{number}", chosen[number::jobs])
            for number in range(jobs)
        ]
        for lane in lanes:
            lane.start(template, expected["outcome"])
        for lane in lanes:
            for verdict in lane.verdicts():
                report.verdicts.append(verdict)
                say(verdict)
        places.remove(template)
    report.verdicts.sort(key=lambda verdict: verdict.boundary)
    return report


@dataclass
class _Lane:
    """A process that tries its share of the boundaries, one after the other."""

    scenario: Scenario
    rounds: int
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
                verdict = self._try(boundary, template, expected)
                print(
                    json.dumps([verdict.boundary, verdict.reached, verdict.differences]),
                    file=results,
                    flush=True,
                )

    def _try(self, boundary: int, template: Path, expected: Any) -> Verdict:
        home = self.folder / f"boundary-{boundary}"
        places.copy(template, home)
        found = _forked(home, lambda: _run(self.scenario, self.rounds, boundary))
        torn, reached = [], found is None
        if reached:
            torn = _forked(home, lambda: _torn(self.scenario))
            found = _forked(home, lambda: _run(self.scenario, self.rounds))
        places.remove(home)
        if found is None:
            return Verdict(boundary, True, ("the second process died too",))
        faults = (*torn, *found["torn"], *differences(expected, found["outcome"]))
        return Verdict(boundary, reached, faults)

    def verdicts(self) -> Iterator[Verdict]:
        with self._results as results:
            for line in results:
                boundary, reached, found = json.loads(line)
                yield Verdict(boundary, reached, tuple(found))
        _, status = os.waitpid(self._pid, 0)
        if status:
            raise RuntimeError(f"A lane of the crash test ended with {os.waitstatus_to_exitcode(status)}.")


# -- in a process of its own


def _forked(home: Path, work: Callable[[], Any]) -> Any:
    """Do something in a child process, with a database in `home`. Returns its answer; None if killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        with _whole_life(), os.fdopen(writer, "w") as answer:
            places.settle_in(home)
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


def _prepare(scenario: Scenario, rounds: int) -> None:
    for alias in places.aliases():
        call_command("migrate", database=alias, verbosity=0, interactive=False)
    scenario.prepare(rounds)


def _run(scenario: Scenario, rounds: int, die_at: int = 0) -> dict[str, Any]:
    """Go on until nothing is left to do, or until the boundary."""
    passed = 0

    def count(place: str) -> None:
        nonlocal passed
        passed += 1
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    scenario.work(rounds, count)
    return {"boundaries": passed, "outcome": outcome(), "torn": _torn(scenario)}


def _torn(scenario: Scenario) -> list[str]:
    return [*scenario.torn(), *map(str, doctor.examine())]
