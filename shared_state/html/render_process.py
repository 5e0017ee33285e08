"""Rendering in a process that can be ended: the parent's side.

A few processes render one piece each at a time. A piece that takes too long, or that a process dies of
twice, is not rendered, and the process is replaced; those that wait their turn go on. Who waits is bounded,
too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import orjson
import structlog

from shared_state.html.render_child import ANSWER, REQUEST

log = structlog.get_logger(__name__)

PROCESSES = 2
WAITING = 64
"""How many threads may wait for a process; for those that come later nothing is rendered."""
PROCESSOR_SECONDS = 1.0
"""How long a process may compute for one piece, however busy the machine is."""
SECONDS = 10.0
"""How long it may take in all; so long it waits for its turn, too."""
_KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONHOME")


class NotRenderedError(Exception):
    """A piece was not rendered, and will not be."""


class NotNowError(Exception):
    """A piece was not rendered, through no fault of its own: nobody had the time."""


class RenderProcess:
    """One child process, for one thread at a time."""

    def __init__(self) -> None:
        self._door, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        command = [sys.executable, "-P", "-m", "shared_state.html.render_child"]
        try:
            with theirs:
                # In a session of its own: a terminal's Ctrl-C is for the server, which ends this one later.
                self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  our own program
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=environment,
                    start_new_session=True,
                )
        except BaseException:
            self._door.close()
            raise
        self.pid = self._process.pid

    def blocks(self, text: str, *, loose: bool) -> list[str]:
        """The HTML of a text's blocks.

        Raises `NotRenderedError` for a piece at fault; what else it raises says that the process is not to
        be used again: `TimeoutError`, and `EOFError` or `OSError` if it is gone.
        """
        data, until = text.encode(errors="replace"), time.monotonic() + SECONDS
        self._door.settimeout(SECONDS)
        self._door.sendall(REQUEST.pack(PROCESSOR_SECONDS, loose, len(data)) + data)
        fine, size = ANSWER.unpack(self._receive(ANSWER.size, until))
        answer = orjson.loads(self._receive(size, until))
        if not fine:
            raise NotRenderedError
        return list(answer)

    def end(self) -> int:
        """End it, whatever it does; returns its exit code, negative for the signal that it died of."""
        self._door.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Its time for the piece may just be up: what it died of is worth knowing.
            return self._process.wait(0.05)
        self._process.kill()
        return self._process.wait()

    def forget(self) -> None:
        """In a fork of its parent: let go of it, so that it ends with the one parent it has."""
        self._door.close()
        self._process.returncode = 0  # it is no child of this process

    def _receive(self, size: int, until: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            self._door.settimeout(max(0.001, until - time.monotonic()))
            part = self._door.recv(min(size - len(found), 65_536))
            if not part:
                raise EOFError
            found += part
        return bytes(found)


class RenderProcesses:
    """The processes of one server, each started when there is work for it."""

    def __init__(self, most: int = PROCESSES) -> None:
        self._most = most
        self._idle: list[RenderProcess] = []
        self._busy: set[RenderProcess] = set()
        self._starting = 0
        self._waiting = 0
        self._change = threading.Condition()
        self.ended = 0
        """How many were ended because of a piece."""

    def blocks(self, text: str, *, loose: bool) -> list[str]:
        """The HTML of a text's blocks. Raises `NotRenderedError` and `NotNowError`.

        Blocks for the time of the piece, and as long again for its turn.
        """
        for _ in range(2):
            process = self._take()
            try:
                found = process.blocks(text, loose=loose)
            except NotRenderedError:
                self._give_back(process)
                raise
            except (OSError, EOFError, ValueError) as error:
                code = self._replace(process)
                log.warning("render_process_ended", error=repr(error), code=code, characters=len(text))
                if code == -signal.SIGPROF or isinstance(error, TimeoutError):
                    break  # it was the piece's fault; otherwise somebody ended the process: once more
            except BaseException:
                self._replace(process)
                raise
            else:
                self._give_back(process)
                return found
        raise NotRenderedError

    def pids(self) -> set[int]:
        """The processes that there are."""
        with self._change:
            return {process.pid for process in (*self._idle, *self._busy)}

    def end(self) -> None:
        """End all that are idle; one that works for somebody is ended by them, or with this process."""
        with self._change:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def forget(self) -> None:
        """In a fork: let go of the parent's processes."""
        for process in (*self._idle, *self._busy):
            process.forget()

    def _take(self) -> RenderProcess:
        with self._change:
            if not self._idle and self._waiting >= WAITING:
                raise NotNowError("Too many wait for a process.")
            self._waiting += 1
            try:
                if not self._change.wait_for(self._has_room, SECONDS):
                    raise NotNowError("The processes have been busy for too long.")
            finally:
                self._waiting -= 1
            if self._idle:
                process = self._idle.pop()
                self._busy.add(process)
                return process
            self._starting += 1
        return self._start()

    def _has_room(self) -> bool:
        return bool(self._idle) or len(self._busy) + self._starting < self._most

    def _start(self) -> RenderProcess:
        process = None
        try:
            process = RenderProcess()
        except OSError as error:
            raise NotNowError(f"No process can be started: {error}") from error
        finally:
            with self._change:
                self._starting -= 1
                if process is not None:
                    self._busy.add(process)
                self._change.notify()
        return process

    def _give_back(self, process: RenderProcess) -> None:
        with self._change:
            self._busy.discard(process)
            self._idle.append(process)
            self._change.notify()

    def _replace(self, process: RenderProcess) -> int:
        code = process.end()
        with self._change:
            self.ended += 1
            self._busy.discard(process)
            self._change.notify()
        return code
