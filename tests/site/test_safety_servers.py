"""What comes from outside, at the real servers: too much, malformed, from a foreign page."""

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from tests.support.client import Client, receive_json
from tests.support.processes import Installation, Process

SERVERS: list[Callable[[Installation], Process]] = [Installation.serve, Installation.uvicorn]
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("safety")) as made:
        made.prepare(ada="ada")
        yield made


@pytest.fixture(scope="module", params=SERVERS, ids=lambda start: str(start.__name__))
def server(request: pytest.FixtureRequest, installed: Installation) -> Iterator[Process]:
    process: Process = request.param(installed)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def ada(installed: Installation, server: Process) -> Client:
    client = Client(installed.url)
    client.sign_in("ada", "ada")
    return client


# -- bodies


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * MEGABYTE


def post(site: Installation, path: str, body: bytes | Iterator[bytes], kind: str) -> int:
    """Status of a request without a session; an iterator is sent in chunks, without a length."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    # It may answer without waiting for the rest.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", path, body, {"Content-Type": kind})
    try:
        return connection.getresponse().status
    except ConnectionResetError:
        return 413  # and the rest came when nobody listened any more
    finally:
        connection.close()


def memory(process: Process) -> int:
    """Resident bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    "path", ["/agents/chat/", "/accounts/login/", "/api/agents/debate/x/messages", "/none/"]
)
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/json"]
)
def test_a_large_body_is_refused(path: str, kind: str, installed: Installation, server: Process) -> None:
    assert post(installed, path, b"x" * (2 * MEGABYTE), kind) == 413


def test_a_body_of_unknown_length_is_refused_when_it_grows(installed: Installation, server: Process) -> None:
    before = memory(server)

    assert post(installed, "/agents/chat/", pieces(40), "multipart/form-data; boundary=b") == 413

    assert memory(server) - before < 20 * MEGABYTE
    assert server.running


def test_small_forms_still_work(installed: Installation, ada: Client) -> None:
    assert ada.get("/")[0] == 200
    assert post(installed, "/accounts/login/", b"x" * 1000, "application/x-www-form-urlencoded") == 403


def test_a_form_with_very_many_fields_is_refused(ada: Client) -> None:
    assert ada.post("/agents/chat/", **{f"field{n}": "x" for n in range(600)})[0] == 400


# -- sockets


@pytest.fixture
def socket(ada: Client) -> Iterator[ClientConnection]:
    with ada.socket("/live/") as connection:
        yield connection


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", ""])
def test_a_foreign_page_opens_no_socket(origin: str, ada: Client) -> None:
    with pytest.raises(InvalidStatus, match=r"40[03]"):
        ada.socket("/live/", origin=origin)


def test_there_is_no_other_socket(ada: Client, server: Process) -> None:
    with pytest.raises(InvalidStatus):
        ada.socket("/elsewhere/")


MALFORMED: list[str | bytes] = [
    "", "x", "{", "[]", "null", "1", '"text"', "{}", '{"op": 5}', '{"op": "none"}', '{"op": "_write"}',
    '{"op": "follow"}', '{"op": "follow", "id": "x", "stream": 5, "codec": []}', '{"op": "send", "ref": "r"}',
    '{"op": "follow", "id": 1, "stream": "/a/b", "codec": "timeline", "after": "5"}',
    '{"op": "follow", "id": 1, "stream": "\\u0000", "codec": "timeline"}',
    '{"op": "send", "ref": "r", "to": "/a/b\\u0000", "key": "12345678", "payload": "x"}',
    "[" * 60_000, b"\x00\xff", b"{}",
]  # fmt: skip


def test_a_malformed_frame_is_refused_and_the_socket_lives_on(socket: ClientConnection) -> None:
    for frame in MALFORMED:
        socket.send(frame)
        answer = receive_json(socket)
        assert answer["op"] == "error", frame
        assert answer["code"] != "internal_error", frame
        assert answer["message"]


@pytest.mark.parametrize("size", [MEGABYTE, 3 * MEGABYTE])
def test_a_message_of_a_megabyte_is_refused_and_the_socket_lives_on(
    size: int, socket: ClientConnection
) -> None:
    socket.send(json.dumps({"op": "send", "ref": "m", "to": "/a/b", "key": "k" * 8, "payload": "x" * size}))
    assert receive_json(socket)["code"] == "frame_too_large"

    socket.send(json.dumps({"op": "follow", "id": 1, "stream": "/none/x", "codec": "timeline"}))
    assert receive_json(socket)["code"] == "stream_not_found"


def test_nothing_of_that_was_a_fault(server: Process) -> None:
    for word in ("application_failed", "frame_failed", "in ASGI application", "Internal Server Error"):
        assert word not in server.output
