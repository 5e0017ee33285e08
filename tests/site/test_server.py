"""What our server does and stock Daphne does not, seen from outside."""

import http.client
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from agents_site import server
from tests.support.processes import Process
from tests.support.toy_server import PIECE, PIECES
from tests.support.waiting import wait_until

# What the kernel may hold for one connection on loopback, both directions together, in bytes.
KERNEL_BUFFERS = 12 * 1024 * 1024

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Toy:
    """The toy application of tests/support, running in a process of its own."""

    def __init__(self, mode: str = "", ready: str = "ready") -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        descriptor = self.listener.fileno()
        command = [sys.executable, "-m", "tests.support.toy_server", str(descriptor), mode]
        self.process = Process(command, {"PATH": os.environ["PATH"]}, inherit=(descriptor,))
        self.process.wait_for_line(ready)

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/state")[1]))

    def stalled(self, request: str) -> socket.socket:
        """A client that asks and then never reads."""
        client = socket.create_connection(("127.0.0.1", self.port))
        client.sendall(request.encode())
        return client

    def close(self) -> None:
        self.process.close()
        self.listener.close()


@pytest.fixture
def toy() -> Iterator[Toy]:
    running = Toy()
    yield running
    running.close()


def pieces_when_stalled(toy: Toy) -> int:
    """How many pieces were handed over once no more are."""
    seen = [-1, -2]

    def unchanged() -> bool:
        seen.append(toy.state()["pieces"])
        return seen[-1] > 0 and len(set(seen[-20:])) == 1

    wait_until(unchanged, "the sender to wait")
    return seen[-1]


def test_it_makes_a_socket_wait_for_a_reader_that_stalls(toy: Toy) -> None:
    with toy.stalled(HANDSHAKE.format(path="/flood")):
        handed_over = pieces_when_stalled(toy) * PIECE

    assert handed_over < KERNEL_BUFFERS < PIECES * PIECE


def test_it_delivers_everything_in_order_once_the_reader_reads(toy: Toy) -> None:
    with connect(f"ws://127.0.0.1:{toy.port}/flood", max_size=None, compression=None, proxy=None) as reader:
        pieces_when_stalled(toy)
        numbers = [int.from_bytes(reader.recv(timeout=10, decode=False)[:4], "big") for _ in range(PIECES)]

    assert numbers == list(range(PIECES))


def test_it_lets_go_of_a_waiting_sender_when_the_reader_leaves(toy: Toy) -> None:
    with toy.stalled(HANDSHAKE.format(path="/flood")):
        pieces_when_stalled(toy)

    wait_until(lambda: "flood" in toy.state()["ended"], "the application to end")


def test_it_makes_a_streamed_response_wait_too(toy: Toy) -> None:
    with toy.stalled("GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        handed_over = pieces_when_stalled(toy) * PIECE

    assert handed_over < KERNEL_BUFFERS


def test_it_streams_a_long_response_completely(toy: Toy) -> None:
    status, body = toy.get("/flood")

    assert (status, len(body)) == (200, PIECES * PIECE)


def test_it_forgets_a_finished_request_at_once(toy: Toy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", toy.port, timeout=10)
    for _ in range(100):
        connection.request("GET", "/hello")
        connection.getresponse().read()
    connection.close()

    # Only the request that asks.
    assert toy.state()["connections"] == 1


def test_it_forgets_a_closed_socket(toy: Toy) -> None:
    for _ in range(20):
        with connect(f"ws://127.0.0.1:{toy.port}/length", compression=None, proxy=None) as client:
            client.send("x")
            client.recv(timeout=5)

    wait_until(lambda: toy.state()["connections"] == 1, "the sockets to be forgotten")


def test_it_answers_500_and_lives_on_when_the_application_fails(toy: Toy) -> None:
    assert toy.get("/fail")[0] == 500
    assert toy.get("/hello") == (200, "hello")


def test_it_hands_a_message_of_a_megabyte_to_the_application(toy: Toy) -> None:
    with connect(f"ws://127.0.0.1:{toy.port}/length", compression=None, proxy=None) as client:
        client.send("x" * 1_048_576)

        assert client.recv(timeout=5) == "1048576"


def test_it_cancels_what_still_runs_when_it_stops(toy: Toy) -> None:
    with toy.stalled("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        toy.process.wait_for_line("waiting")
        took = toy.process.stop(signal.SIGTERM)

    assert toy.process.lines[-2:] == ["stop hook", "cancelled"]
    assert took < 1


def test_it_lets_the_stop_hook_say_goodbye_to_sockets(toy: Toy) -> None:
    with connect(f"ws://127.0.0.1:{toy.port}/wait", compression=None, proxy=None) as client:
        toy.process.wait_for_line("waiting")
        took = toy.process.stop(signal.SIGTERM)

        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=5)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4012
    assert took < 1


def test_it_does_not_wait_for_ever_for_its_stop_hook() -> None:
    toy = Toy("hang")

    assert server.STOP_SECONDS <= toy.process.stop(signal.SIGINT) < 2
    toy.close()


def test_it_ends_with_the_reason_when_its_start_hook_fails() -> None:
    toy = Toy("broken", ready="RuntimeError: the start hook is broken")

    wait_until(lambda: not toy.process.running, "the server to end")
    toy.close()


def test_it_names_the_port_that_is_in_use_and_the_way_out() -> None:
    with server.bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(server.PortInUseError, match=rf"port {port}: Address already in use.*--port"):
            server.bind("127.0.0.1", port)
