"""The site as people run it: real processes on a socket that outlives them, with files of their own.

    with Installation(tmp_path) as site:
        server = site.quickstart()
        ...
        server.kill()             # SIGKILL, in the middle of whatever it does
        server = site.quickstart()  # the same address, the same database

Every wait is for something that the process says or does, never for a guessed time.
"""

import atexit
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.client import Client
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
# A test run that is killed cannot clean up; the kernel then ends what it started. (It is in util-linux.)
DIES_WITH_THE_TESTS = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
SECRET_KEY = "a-secret-of-the-tests-that-is-long-enough-to-please-everybody"


class Process:
    """One running process, whose output is kept and can be waited for."""

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        inherit: tuple[int, ...] = (),
        folder: Path = ROOT,
    ) -> None:
        self.lines: list[str] = []
        self._popen = subprocess.Popen(
            [*DIES_WITH_THE_TESTS, *command],
            cwd=folder,
            env=environment,
            pass_fds=inherit,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A group of its own: a signal for the tests must not hit it, and what it starts can be found.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for_line(self, pattern: str, seconds: float = START_SECONDS) -> str:
        """The first line that matches a regular expression; fails with all output if the process ends."""
        expression = re.compile(pattern)
        found: list[str] = []

        def appeared() -> bool:
            found.extend(line for line in self.lines if expression.search(line))
            if not found and not self.running:
                self._reader.join(5)
                raise AssertionError(
                    f"ended with {self._popen.returncode} before {pattern!r}:\n{self.output}"
                )
            return bool(found)

        try:
            wait_until(appeared, f"a line like {pattern!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; the output is:\n{self.output}") from error
        return found[0]

    def kill(self) -> None:
        """SIGKILL: no handler, no clean-up, as if the machine had lost its power for this process."""
        self._popen.kill()
        self._popen.wait(10)
        self._reader.join(5)

    def stop(self, number: int = signal.SIGINT, seconds: float = 10.0) -> float:
        """Ask it to stop, and require that it does, with status 0. Returns how long it took, in seconds."""
        began = time.monotonic()
        self._popen.send_signal(number)
        try:
            status = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {seconds:g} s after {number}:\n{self.output}") from None
        took = time.monotonic() - began
        self._reader.join(5)
        assert status == 0, f"ended with {status}:\n{self.output}"
        return took

    def close(self) -> None:
        """End it if it still runs; for the end of a test."""
        if self.running:
            self.kill()


class Installation:
    """A folder, a database, an address; and the processes started on them."""

    def __init__(self, folder: Path, *, database_url: str = "", redis_url: str = "", **settings: str) -> None:
        self.folder = folder
        _lend_static_files(folder)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self.fd: int = self._socket.fileno()
        self.url = f"http://127.0.0.1:{self.port}"
        self.websocket_url = f"ws://127.0.0.1:{self.port}"
        self._processes: list[Process] = []
        # Nothing is inherited but what a program needs to run at all: the developer's keys least of all.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AGENTS_VAR_DIR": str(folder),
            "AGENTS_OFFLINE_WORDS_PER_SECOND": "0",
            "AGENTS_LOG_FORMAT": "console",
            **({"DATABASE_URL": database_url} if database_url else {}),
            **({"REDIS_URL": redis_url} if redis_url else {}),
            **settings,
        }
        # What a production process needs on top; quickstart is to work without.
        self.production = {
            "SECRET_KEY": SECRET_KEY,
            "AGENTS_SECURE_COOKIES": "0",
            **self.environment,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.close()
        self._socket.close()

    def start(self, command: list[str], environment: dict[str, str], ready: str) -> Process:
        """Start a process that may use the shared socket, and wait for the line that says it is ready.

        An empty `ready` waits for nothing.
        """
        process = Process(command, environment, inherit=(self.fd,))
        self._processes.append(process)
        if ready:
            process.wait_for_line(ready)
        return process

    def _manage(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), *arguments]

    def manage(self, *arguments: str, seconds: float = 60.0) -> str:
        """Run one management command to its end, in production mode, and return what it printed."""
        done = subprocess.run(
            self._manage(*arguments),
            cwd=ROOT,
            env=self.production,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def consult_the_doctor(self) -> None:
        """Whatever happened to its processes: nothing may be wrong with what they left in the database."""
        assert self.manage("agents", "doctor") == "All is well.\n"

    def prepare(self, **passwords: str) -> None:
        """Migrate, as a deployment does; make users with these passwords. `staff` is a superuser."""
        self.manage("migrate", "--verbosity", "0")
        if passwords:
            self.manage("shell", "--no-imports", "-c", _make_users(passwords))

    def quickstart(self, *arguments: str) -> Process:
        """`make run`: database, user, web server and worker in one process."""
        command = self._manage("quickstart", "--fd", str(self.fd), *arguments)
        return self.start(command, self.environment, "Agents Site is running at")

    def serve(self) -> Process:
        """`make serve`: the web server alone."""
        command = self._manage("serve", "--fd", str(self.fd))
        return self.start(command, self.production, "Serving on")

    def uvicorn(self) -> Process:
        """The same application under Uvicorn."""
        command = [sys.executable, "-m", "uvicorn", "agents_site.asgi:application"]
        options = ["--fd", str(self.fd), "--ws-per-message-deflate", "false"]
        return self.start([*command, *options], self.production, "Application startup complete")

    def daphne(self) -> Process:
        """The same application under Daphne's own command, which does not say when it is ready."""
        command = [sys.executable, "-m", "daphne", "--fd", str(self.fd), "agents_site.asgi:application"]
        process = self.start(command, self.production, ready="")
        # The shared socket listens already: the request waits in its backlog until somebody answers.
        status, _ = Client(self.url).get("/accounts/login/")
        assert status == 200, f"answered {status}:\n{process.output}"
        return process

    def worker(self, *arguments: str, **settings: str) -> Process:
        """`make worker`: one background worker; `settings` are environment variables of its own."""
        environment = {**self.production, **settings}
        return self.start(self._manage("run_worker", *arguments), environment, "worker_started")


@functools.cache
def collected_static_files() -> Path:
    """A folder with what `quickstart` collects, made once for all installations of this run."""
    folder = Path(tempfile.mkdtemp(prefix="agents-static-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    collect = "from agents_site import static_files; static_files.collect_if_changed()"
    settings = {"DJANGO_SETTINGS_MODULE": "agents_site.settings", "AGENTS_VAR_DIR": str(folder)}
    environment = {"PATH": os.environ["PATH"], **settings}
    command = [sys.executable, "-c", f"import django; django.setup(); {collect}"]
    subprocess.run(command, cwd=ROOT, env=environment, timeout=120, check=True)
    return folder


def _lend_static_files(folder: Path) -> None:
    """Collecting takes a second or two, and every installation would do it for itself."""
    if not (folder / "static").exists():
        (folder / "static").symlink_to(collected_static_files() / "static")
        shutil.copy(collected_static_files() / "static.sources", folder)


def _make_users(passwords: dict[str, str]) -> str:
    return (
        "from django.contrib.auth.models import User\n"
        f"for name, password in {passwords!r}.items():\n"
        "    boss = name == 'staff'\n"
        "    User.objects.create_user(name, password=password, is_staff=boss, is_superuser=boss)\n"
    )


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An empty installation for one test; whatever it starts is ended with the test."""
    with Installation(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running quickstart for one module, with the offline model as fast as it can."""
    with Installation(tmp_path_factory.mktemp("site")) as made:
        made.quickstart()
        yield made
