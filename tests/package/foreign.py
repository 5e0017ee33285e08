"""A Django project that is not ours, with the wheel installed: made as a reader of the how-to makes it.

What the how-to says to add is read out of it. Around that the project is as unlike ours as Django allows:
people sign in by e-mail, every request is a transaction, and streams are in a second database.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Self

from tests.support.client import Client
from tests.support.processes import ROOT, Process

EMAIL, PASSWORD = "ada@example.org", "a password of Ada's"
HOW_TO = ROOT / "docs" / "how-to" / "add-agents-to-your-project.md"
PREFIX = "/team/agents/"

PEOPLE = """
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class People(BaseUserManager):
    def create_superuser(self, email, password):
        person = self.model(email=email, is_staff=True, is_superuser=True)
        person.set_password(password)
        person.save(using=self._db)
        return person


class Person(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    objects = People()
    USERNAME_FIELD = EMAIL_FIELD = "email"
"""
OWN_SETTINGS = """
INSTALLED_APPS += ["people"]
AUTH_USER_MODEL = "people.Person"
LOGIN_URL = "admin:login"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"daphne": {"handlers": ["console"], "level": "INFO"}},
}
ENTITIES = {
    "PROVIDERS": {
        "default": {
            "BACKEND": "entities.offline.provider.OfflineProvider",
            "OPTIONS": {"words_per_second": 0},
        }
    },
    "POLL_SECONDS": 0.2,
}
DATABASES["default"]["ATOMIC_REQUESTS"] = True
DATABASES["streams"] = {**DATABASES["default"], "NAME": BASE_DIR / "streams.sqlite3"}
DATABASE_ROUTERS = ["shared_state.routers.StreamsRouter"]
SHARED_STATE = {"DATABASE": "streams", "POLL_SECONDS": 0.2}
"""


def build(kind: str, folder: Path, source: Path = ROOT) -> Path:
    """The `wheel` or the `sdist` of a source, which is this checkout, built into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    run(command, source, {"PATH": os.environ["PATH"]})
    (built,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a program to its end. Returns what it printed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def environment_with(built: Path, folder: Path) -> Path:
    """A virtual environment with the wheel in it, without a network. Returns its interpreter.

    What the wheel needs is found where the tests have it; our checkout is found nowhere.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    options = ["--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile", "-q"]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", *options]
    run([*pip, str(built)], folder, {"PATH": os.environ["PATH"]})
    (packages,) = (folder / "lib").glob("python*/site-packages")
    seen = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (packages / "tests.pth").write_text("\n".join(seen))
    return python


def documented(kind: str, number: int) -> str:
    """An example of the how-to."""
    found: list[str] = re.findall(rf"```{kind}\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    return found[number]


class Foreign:
    """The project, and the processes started in it."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self.url = ""
        self._processes: list[Process] = []
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.close()

    def make(self) -> None:
        """Start the project, and do what the how-to says."""
        run([str(self.python), "-m", "django", "startproject", "mysite", "."], self.folder, self.environment)
        people = self.folder / "people"
        people.mkdir()
        (people / "__init__.py").touch()
        (people / "models.py").write_text(PEOPLE)
        settings = [documented("python", 0), documented("python", 1), OWN_SETTINGS]
        for name, added in (("settings", settings), ("urls", [documented("python", 2)])):
            self._add(name, *added)
        self._add("asgi", documented("python", 3))

    def _add(self, module: str, *added: str) -> None:
        path = self.folder / "mysite" / f"{module}.py"
        path.write_text("\n".join([path.read_text(), *added]))

    def manage(self, *arguments: str) -> str:
        """Run one management command."""
        return run([str(self.python), "manage.py", *arguments], self.folder, self.environment)

    def start(self, *arguments: str, ready: str) -> tuple[Process, str]:
        """Start a Python program that stays; wait for the line that says it is ready."""
        process = Process([str(self.python), *arguments], self.environment, folder=self.folder)
        self._processes.append(process)
        return process, process.wait_for_line(ready)

    def serve(self, *command: str, ready: str = r"Listening on TCP address 127\.0\.0\.1:\d+") -> Process:
        """The server of the how-to, or another, on a port that is free and that it says."""
        command = command or ("manage.py", "runserver", "--noreload", "127.0.0.1:0")
        process, line = self.start(*command, ready=ready)
        port = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert port is not None
        self.url = f"http://127.0.0.1:{port[1]}"
        return process

    def worker(self) -> Process:
        """A worker."""
        return self.start("manage.py", "run_worker", ready="worker_started")[0]

    def ada(self) -> Client:
        """Ada, signed in by e-mail through the project's own form."""
        client = Client(self.url, csrf_cookie="csrftoken")
        client.get("/admin/login/")
        status, body = client.post("/admin/login/", username=EMAIL, password=PASSWORD, next="/admin/")
        assert client.cookie("sessionid"), f"{EMAIL} could not sign in: {status}\n{body[:500]}"
        return client
