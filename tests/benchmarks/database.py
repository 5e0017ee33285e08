"""A database of its own for a benchmark, and processes that run the real project on it.

A benchmark's inner part is a function `module:function` that takes JSON arguments and answers JSON. `measure`
runs it in a new process, so that settings, caches and memory are those of a fresh server.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.options import QUICK
from tests.support import servers
from tests.support.processes import ROOT, SECRET_KEY

DATABASES = ("SQLite FULL", "PostgreSQL")
_MARK = "benchmark result: "
_LOADED = ("entities.api", "entities.worker.worker", "shared_state.api", "shared_state.live.session")
"""What a server has loaded before its first request; a benchmark imports it where it needs it."""


@dataclass(frozen=True)
class BenchDatabase:
    """A migrated database, and the environment of a process that works on it."""

    database: str
    environment: dict[str, str]

    def measure(self, function: str, **arguments: Any) -> Any:
        """Run `module:function(**arguments)` in a new process with Django set up; answers what it returns."""
        command = [sys.executable, "-m", "tests.benchmarks.database", function, json.dumps(arguments)]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True, check=False
        )
        lines = done.stdout.splitlines()
        if done.returncode or not lines or not lines[-1].startswith(_MARK):
            raise RuntimeError(f"{function} ended with {done.returncode}:\n{done.stdout}")
        return json.loads(lines[-1].removeprefix(_MARK))


@contextmanager
def bench_database(database: str, **settings: str) -> Iterator[BenchDatabase]:
    """An empty, migrated database of one of `DATABASES`; gone at the end."""
    with tempfile.TemporaryDirectory(prefix="agents-bench-") as folder:
        environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "agents_site.settings", "SECRET_KEY": SECRET_KEY,
            "AGENTS_VAR_DIR": folder, "AGENTS_LOG_LEVEL": "WARNING", "AGENTS_SECURE_COOKIES": "0",
            "AGENTS_OFFLINE_WORDS_PER_SECOND": "0", QUICK: os.environ.get(QUICK, ""), **settings,
        }  # fmt: skip
        if database == "PostgreSQL":
            with durable_postgres() as url:
                yield _migrated(database, {**environment, "DATABASE_URL": url})
        else:
            yield _migrated(database, environment)


@contextmanager
def durable_postgres() -> Iterator[str]:
    """A PostgreSQL that waits for the disk, as the tests' own does not. Yields its URL."""
    import psycopg

    with servers.postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {name} = on")
            connection.execute("SELECT pg_reload_conf()")
        yield url


def _migrated(database: str, environment: dict[str, str]) -> BenchDatabase:
    """Prepared as a deployment is."""
    for command in (["migrate"], ["collectstatic", "--noinput"]):
        whole = [sys.executable, str(ROOT / "manage.py"), *command, "--verbosity", "0"]
        subprocess.run(whole, cwd=ROOT, env=environment, check=True)
    return BenchDatabase(database, environment)


def _child(function: str, arguments: dict[str, Any]) -> None:
    import django

    django.setup()
    module, _, name = function.partition(":")
    measured = getattr(importlib.import_module(module), name)
    for each in _LOADED:
        importlib.import_module(each)
    # As the server does. Without it, what is measured holds collections of 80 ms that no server makes.
    importlib.import_module("shared_state.api").freeze_startup_objects()
    result = measured(**arguments)
    print(_MARK + json.dumps(result), flush=True)


if __name__ == "__main__":
    _child(sys.argv[1], json.loads(sys.argv[2]))
