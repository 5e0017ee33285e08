"""Who waits for what somebody else holds, and who may go: in the order in which they came."""

from collections.abc import Sequence

import pytest
from django.db import InterfaceError

from shared_state.core import database
from shared_state.core.types import Provenance
from shared_state.write import batch, held_up
from shared_state.write.held_up import HeldUp
from shared_state.write.job import Job
from shared_state.write.needs import Needs, Verb


def job(name: str, *streams: int) -> Job:
    return Job(Provenance(name), None, Verb(lambda unit: None, Needs(streams)), None, None, None)


def names(jobs: Sequence[Job]) -> list[str]:
    return [each.provenance.writer for each in jobs]


def test_who_names_a_stream_of_one_that_waits_waits_behind_it() -> None:
    held = HeldUp()
    held.enter([job("held", 1)])

    free, behind = held.parted([job("both", 1, 2), job("behind", 2), job("free", 3), job("far behind", 2, 3)])

    assert (names(free), names(behind)) == (["free"], ["both", "behind", "far behind"])


def test_once_nobody_waits_everybody_goes() -> None:
    held, first = HeldUp(), job("held", 1, 2)
    held.enter([first])
    held.parted([job("behind", 2)])
    held.leave([first])
    assert names(held.parted([job("next", 2)])[1]) == ["next"]

    held.leave(list(held._named))

    assert names(held.parted([job("last", 1, 2)])[0]) == ["last"]


def test_what_is_tried_one_by_one_overtakes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    done: list[Job] = []

    def write(jobs: Sequence[Job], lock_timeout: float | None) -> list[Job]:
        tried.extend(names(jobs))
        return [each for each in jobs if each.provenance.writer == "held"]

    monkeypatch.setattr(batch, "write", write)
    jobs = [job("held", 1, 2), job("behind", 2), job("free", 3)]

    assert names(batch.one_by_one(jobs, 0.05, done.append)) == ["held", "behind"]
    assert (tried, names(done)) == (["held", "free"], ["free"])


def test_a_look_that_fails_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise InterfaceError("the connection is closed")

    monkeypatch.setattr(database, "atomic", broken)

    free, behind = held_up.sifted([job("any", 1)])

    assert (names(free), behind) == (["any"], [])
