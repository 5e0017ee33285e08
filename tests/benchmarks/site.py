"""The site as it is deployed, in processes of its own, and what all of them together cost.

On SQLite web and worker are one process; on PostgreSQL they are apart, with hints over Redis.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import cpu
from tests.benchmarks.database import BenchDatabase, bench_database
from tests.benchmarks.http_client import TOKEN
from tests.support import servers
from tests.support.processes import Process

ME = "tests.benchmarks.site"
WORKING = {"SQLite FULL": ("whole",), "PostgreSQL": ("web", "worker")}
READY = {"whole": "is running at", "web": "Serving on", "worker": "worker_started"}


@dataclass(frozen=True)
class Site:
    """A running site: where, as whom, and its processes."""

    port: int
    cookies: str
    place: BenchDatabase
    processes: tuple[int, ...]
    database: int | None
    """The process that runs PostgreSQL, or none."""

    def cpu(self) -> float:
        """Seconds that web, worker and database have used; not Redis, which is in no message's way."""
        own = sum(map(cpu.seconds, self.processes))
        return own + (cpu.with_children(self.database) if self.database is not None else 0)


@contextmanager
def running(database: str, *, agents: int = 0, handles: bool = True) -> Iterator[Site]:
    """A site on an empty database, with so many agents `/listens/<number>` of one person.

    With `handles` a worker runs them, and they do nothing.
    """
    kinds = WORKING[database] if handles else ("web",)
    with contextlib.ExitStack() as stack:
        redis = {"REDIS_URL": stack.enter_context(servers.redis())} if database == "PostgreSQL" else {}
        place = stack.enter_context(bench_database(database, **redis))
        cookies = place.measure(f"{ME}:prepare", agents=agents)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        processes = []
        for kind in kinds:
            environment = place.environment | {"AGENTS_LOG_LEVEL": "INFO", "AGENTS_LOG_FORMAT": "console"}
            command = [sys.executable, "-m", ME, kind, str(listener.fileno())]
            process = Process(command, environment, (listener.fileno(),))
            stack.callback(process.close)
            process.wait_for_line(READY[kind])
            processes.append(process.pid)
        yield Site(listener.getsockname()[1], cookies, place, tuple(processes), _postmaster(place))


def _postmaster(place: BenchDatabase) -> int | None:
    if (url := place.environment.get("DATABASE_URL")) is None:
        return None
    import psycopg

    with psycopg.connect(url) as connection:
        return cpu.parent(connection.info.backend_pid)


# -- in processes of their own


def prepare(agents: int) -> str:
    """Ada with a session and her agents. Returns the cookies of a page of hers."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    from entities.api import NewEntity, registry, spawn_now
    from shared_state.api import Principal
    from shared_state.write import writer

    define()
    registry.store()
    client = Client()
    client.force_login(User.objects.create_user("ada", password="ada"))
    for number in range(agents):
        spawn_now(Principal("user", "ada"), NewEntity("listens", str(number)))
    writer.stop()
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    return f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={TOKEN}"


def define() -> None:
    """The type whose agents only listen."""
    from entities.api import registry

    async def listens(ctx: Any, wake: Any) -> None:
        """Does nothing: what is measured is the way to it."""

    registry.define("listens")(listens)


def handled() -> tuple[int, float]:
    """How many wakes wait, and when the last one was settled (seconds since the epoch)."""
    from django.db.models import Max

    from entities.models import Wake

    waiting = Wake.objects.filter(state__in=[Wake.State.PENDING, Wake.State.CLAIMED]).count()
    last = Wake.objects.aggregate(last=Max("settled_at"))["last"]
    return waiting, last.timestamp() if last is not None else 0.0


def main(kind: str, fd: str) -> None:
    """One process of the site."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agents_site.settings")
    import django

    django.setup()
    from django.core.management import call_command

    define()
    if kind == "whole":
        call_command("quickstart", fd=int(fd), no_local=True)
    elif kind == "web":
        call_command("serve", fd=int(fd))
    else:
        call_command("run_worker")


if __name__ == "__main__":
    main(*sys.argv[1:])
