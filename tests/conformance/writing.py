"""What the tests of the log share: streams, notes to append, and another process on the same database."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from django.db import connection

from shared_state import api
from shared_state.core.types import Event, NewEvent, Provenance, StreamInfo
from shared_state.write.unit import Unit
from tests.support.processes import ROOT, SECRET_KEY

T = TypeVar("T")
ADA = Provenance("user:ada")
_numbers = itertools.count(1)


def make_stream(path: str = "", **fields: Any) -> StreamInfo:
    """A stream of Ada's."""
    place = path or f"/room/{next(_numbers)}"
    return do(lambda unit: unit.create_stream(place, "entity", "user:ada", **fields))


def do(run: Callable[[Unit], T], **options: Any) -> T:
    """Run a unit of Ada's."""
    return api.unit(run, **{"provenance": ADA, **options})


def note(key: str = "", operation: Any = "insert", **fields: Any) -> NewEvent:
    """An event to append; what `NewEvent` does not know is its value."""
    options = {name: fields.pop(name) for name in list(fields) if name in NewEvent.__dataclass_fields__}
    return NewEvent(
        "note", key or f"note-{next(_numbers)}", options.pop("value", fields), operation, **options
    )


def append(stream: StreamInfo, *events: NewEvent, **options: Any) -> list[Event]:
    """Append from a thread, as a unit."""
    return do(lambda unit: unit.append(stream.id, events), **options)


def plainly(stream: StreamInfo, *events: NewEvent, **options: Any) -> list[Event]:
    """Append by the hot path."""
    return run(api.append(stream.id, events, **{"provenance": ADA, **options}))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own."""
    with asyncio.Runner() as runner:
        return runner.run(coroutine)


def everything(stream: StreamInfo) -> list[Event]:
    """The whole log of a stream."""
    found: list[Event] = []
    while more := api.read(stream.id, found[-1].offset if found else 0):
        found += more
    return found


def offsets(events: Sequence[Event]) -> list[int]:
    return [event.offset for event in events]


class Other:
    """A process on the same database. It stands ready; `go` lets it run, `result` waits for its answer."""

    def __init__(self, function: str, arguments: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.child", function, json.dumps(arguments)],
            cwd=ROOT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def hear(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def say(self, line: str) -> None:
        """Give it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def go(self) -> None:
        self.say("go")

    def result(self) -> Any:
        """What the function returned."""
        return json.loads(self.hear())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def other_process(function: Callable[..., Any], **arguments: Any) -> Iterator[Other]:
    """Another process, ready to call a module's function with JSON arguments."""
    other = Other(f"{function.__module__}:{function.__name__}", arguments)
    try:
        assert other.hear() == "ready"
        yield other
    finally:
        other.close()


def _environment() -> dict[str, str]:
    database = connection.settings_dict
    name = str(database["NAME"])
    url = f"sqlite:///{name}"
    if connection.vendor == "postgresql":
        url = f"postgresql://{database['USER']}@{quote(database['HOST'], safe='')}/{name}"
    return {
        "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SETTINGS_MODULE": "agents_site.settings", "SECRET_KEY": SECRET_KEY, "DATABASE_URL": url,
        "AGENTS_VAR_DIR": str(Path(name).parent), "AGENTS_LOG_LEVEL": "ERROR",
    }  # fmt: skip
