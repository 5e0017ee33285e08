"""Installations of several processes, as the documentation sets them up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.acceptance.person import Person
from tests.support.processes import Installation

PASSWORD = "a password of Ada's"


class Many(Installation):
    """A web process and workers, each a process of its own, with Ada signed in."""

    ada: Person
    keep = 0
    """How many processes outlive a test: the web."""

    def open(self, web: str = "serve") -> None:
        """Prepare, start the web process, sign Ada in."""
        self.prepare(ada=PASSWORD)
        getattr(self, web)()
        self.ada = Person(self.url, PASSWORD)

    def write_locked(self) -> bool:
        """Whether a process is in the middle of a transaction on the SQLite file."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=0.05)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False

    def end_workers(self) -> None:
        """Whatever a test has started is ended with it."""
        for process in self._processes[self.keep :]:
            process.close()
        del self._processes[self.keep :]


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    """SQLite: web and workers share the file, and hear of each other by polls."""
    settings = {"AGENTS_OFFLINE_WORDS_PER_SECOND": "80", "AGENTS_POLL_SECONDS": "0.2"}
    with Many(tmp_path_factory.mktemp("machine"), **settings) as made:
        made.open()
        made.keep = len(made._processes)
        yield made


@pytest.fixture
def many(one_machine: Many) -> Iterator[Many]:
    """That machine without a worker; the test starts its own."""
    yield one_machine
    one_machine.end_workers()
    one_machine.consult_the_doctor()
