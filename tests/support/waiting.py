"""Waiting for something observable, never for a guessed time."""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def wait_until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Return as soon as `condition()` is true; fail after `seconds`, naming what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.01)


def wait_for_unix_socket(path: Path, process: "subprocess.Popen[bytes]", seconds: float = 10.0) -> None:
    """Return once something listens on a Unix socket; fail at once if its process has ended."""

    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"the server for {path} ended with {process.returncode}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    wait_until(answers, f"a server on {path}", seconds)
