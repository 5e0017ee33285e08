"""Rendering in a process that can be ended: the parent's side.

A few processes render one piece each at a time. A piece that takes too long, or that a process dies of
twice, is not rendered, and the process is replaced; those that wait their turn go on, who owes
least first (see `core.budget`). Who waits is bounded, too.
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
from collections.abc import Iterator

import orjson
import structlog

from shared_state.core.budget import NOBODY, Account, Queue, Turn
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
        self.used = 0.0
        """Seconds of processor time that the last piece took; if it did not end by itself, all it might."""

    def blocks(self, text: str, *, loose: bool, seconds: float | None = None) -> list[str]:
        """The HTML of a text's blocks; `seconds` of processor time are left in `used`.

        Raises `NotRenderedError` for a piece at fault; what else it raises says that the process is not to
        be used again: `TimeoutError`, and `EOFError` or `OSError` if it is gone.
        """
        data, until = text.encode(errors="replace"), time.monotonic() + SECONDS
        self.used = PROCESSOR_SECONDS if seconds is None else seconds
        self._door.settimeout(SECONDS)
        self._door.sendall(REQUEST.pack(self.used, loose, len(data)) + data)
        fine, self.used, size = ANSWER.unpack(self._receive(ANSWER.size, until))
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
        self._idle: list[RenderProcess] = []
        self._busy: set[RenderProcess] = set()
        self._queue = Queue(most)
        self._change = threading.Condition()
        self.ended = 0
        """How many were ended because of a piece."""

    def blocks(self, text: str, *, loose: bool, account: Account = NOBODY) -> list[str]:
        """The HTML of a text's blocks, on an account. Raises `NotRenderedError` and `NotNowError`.

        Blocks for the time of the piece, and as long again for its turn.
        """
        turn = Turn(account, len(text.encode(errors="replace")))
        for _ in range(2):
            with self._turn(turn):
                if (found := self._tried(turn, text, loose=loose)) is not None:
                    return found
        raise NotRenderedError

    def _tried(self, turn: Turn, text: str, *, loose: bool) -> list[str] | None:
        """The HTML, or `None` if somebody ended the process, through no fault of the piece."""
        seconds = min(PROCESSOR_SECONDS, turn.account.seconds(turn.size))
        if not seconds:
            raise NotNowError("Too much was done for this stream or its owner of late.")
        process = self._take()
        try:
            found = process.blocks(text, loose=loose, seconds=seconds)
        except NotRenderedError:
            turn.account.charge(process.used, turn.size, in_vain=True)
            self._give_back(process)
            raise
        except (OSError, EOFError, ValueError) as error:
            code = self._replace(process)
            log.warning("render_process_ended", error=repr(error), code=code, characters=len(text))
            if code != -signal.SIGPROF and not isinstance(error, TimeoutError):
                return None
            turn.account.charge(process.used, turn.size, in_vain=True)
            if seconds < PROCESSOR_SECONDS:
                raise NotNowError("It had less time than others have.") from None
            raise NotRenderedError from None
        except BaseException:
            self._replace(process)
            raise
        turn.account.charge(process.used, turn.size)
        self._give_back(process)
        return found

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

    @contextlib.contextmanager
    def _turn(self, turn: Turn) -> Iterator[None]:
        """Wait for one's turn, and have it inside."""
        with self._change:
            if len(self._queue.waiting) >= WAITING:
                raise NotNowError("Too many wait for a process.")
            self._queue.waiting.append(turn)
            if not self._change.wait_for(lambda: self._queue.next() is turn, SECONDS):
                self._queue.waiting.remove(turn)
                self._change.notify_all()  # it may have kept others waiting
                raise NotNowError("The processes have been busy for too long.")
            self._queue.begin(turn)
            self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                self._queue.working.remove(turn)
                self._change.notify_all()

    def _take(self) -> RenderProcess:
        """A process: there are no more than have their turn."""
        with self._change:
            if self._idle:
                process = self._idle.pop()
                self._busy.add(process)
                return process
        try:
            process = RenderProcess()
        except OSError as error:
            raise NotNowError(f"No process can be started: {error}") from error
        with self._change:
            self._busy.add(process)
        return process

    def _give_back(self, process: RenderProcess) -> None:
        with self._change:
            self._busy.discard(process)
            self._idle.append(process)

    def _replace(self, process: RenderProcess) -> int:
        code = process.end()
        with self._change:
            self.ended += 1
            self._busy.discard(process)
        return code
