"""The process that renders foreign text, run as a program: no Django, no database, no secrets.

It answers at a socket that it finds in place of its standard input, one piece after the other, and leaves
when its parent has closed the other end, or is gone. A piece that takes more processor time than it may ends
the process: the kernel does that, so no regular expression that holds the interpreter can put it off.
Neither a terminal's Ctrl-C nor a supervisor's SIGTERM does: the parent may still have pages to finish.
"""

from __future__ import annotations

import resource
import signal
import socket
import struct
import sys
import time

import orjson

from shared_state.html import markdown

REQUEST = struct.Struct("!fBI")
"""Seconds of processor time for the piece, whether its lists are loose, bytes of text that follow."""
ANSWER = struct.Struct("!BfI")
"""Whether it was rendered, seconds of processor time, bytes of JSON that follow: the HTML of each block."""
MOST_MEMORY = 1024**3
"""Bytes of address space; a piece that wants more fails."""


def receive(door: socket.socket, size: int) -> bytes:
    """So many bytes. Raises `EOFError` if the other side is gone."""
    found = bytearray()
    while len(found) < size:
        part = door.recv(min(size - len(found), 65_536))
        if not part:
            raise EOFError
        found += part
    return bytes(found)


def serve(door: socket.socket) -> None:
    """Answer until the other side is gone."""
    while True:
        seconds, loose, size = REQUEST.unpack(receive(door, REQUEST.size))
        text = receive(door, size).decode()
        begun = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            answer, fine = orjson.dumps(markdown.blocks(text, loose=bool(loose))), True
        except BaseException:  # noqa: BLE001  also a library's panic: whatever this text does, the next may be a better one
            answer, fine = b"[]", False
        signal.setitimer(signal.ITIMER_PROF, 0)
        door.sendall(ANSWER.pack(fine, time.process_time() - begun, len(answer)) + answer)


def main() -> None:
    """Be that process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    try:
        with socket.socket(fileno=0) as door:
            serve(door)
    except (EOFError, ConnectionError):
        pass


if __name__ == "__main__":
    main()
