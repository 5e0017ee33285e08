"""The same application under every server that we name, in production mode."""

from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agents_site.server import MAX_MESSAGE_BYTES
from tests.site.test_quickstart import socket_path
from tests.support.client import Client
from tests.support.processes import Installation, Process

SERVERS: list[Callable[[Installation], Process]] = [
    Installation.serve,
    Installation.daphne,
    Installation.uvicorn,
]


@pytest.mark.parametrize("start", SERVERS, ids=lambda start: start.__name__)
def test_it_serves_pages_and_sockets_to_those_who_signed_in(
    start: Callable[[Installation], Process], installation: Installation
) -> None:
    installation.prepare(staff="staff")
    process = start(installation)
    stranger, staff = Client(installation.url), Client(installation.url)
    staff.sign_in("staff", "staff")

    assert "password" in stranger.get("/admin/")[1]
    assert "Site administration" in staff.get("/admin/")[1]
    assert staff.get("/static/admin/css/base.css")[0] == 200
    with staff.socket(socket_path()):
        pass
    with pytest.raises(InvalidStatus, match="403"):
        staff.socket(socket_path(), origin="http://evil.example")
    assert "Traceback" not in process.output


def test_frames_are_compressed_for_who_asks_and_unpacked_no_further_than_allowed(
    installation: Installation,
) -> None:
    installation.prepare(staff="staff")
    installation.serve()
    staff = Client(installation.url)
    staff.sign_in("staff", "staff")

    with staff.socket(socket_path(), compress=True) as socket:
        assert [type(extension).__name__ for extension in socket.protocol.extensions] == ["PerMessageDeflate"]
        socket.send(" " * (MAX_MESSAGE_BYTES + 1))  # five kilobytes on the wire
        with pytest.raises(ConnectionClosed):
            socket.recv(10)
    with staff.socket(socket_path()) as socket:
        assert socket.protocol.extensions == []


def test_it_stops_cleanly(installation: Installation) -> None:
    installation.prepare()

    assert installation.serve().stop() < 2
