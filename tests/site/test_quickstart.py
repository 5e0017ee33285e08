"""The one command: `make run`."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.client import Client
from tests.support.processes import ROOT, Installation


def socket_path() -> str:
    """The site's websocket, as the application routes it."""
    from entities.routing import websocket_urlpatterns

    return "/" + str(websocket_urlpatterns[0].pattern).strip("^$")


def test_it_starts_from_nothing_and_says_where(installation: Installation) -> None:
    process = installation.quickstart()

    process.wait_for_line("Ctrl-C stops it")
    assert f"Agents Site is running at {installation.url}/" in process.output
    assert "without a password" in process.output
    assert "offline model" in process.output
    assert (installation.folder / "db.sqlite3").exists()
    assert (installation.folder / "secret_key").stat().st_mode & 0o777 == 0o600


def test_it_signs_this_machine_in_and_nobody_else(site: Installation) -> None:
    assert Client(site.url).get("/admin/")[0] == 200

    for headers in ({"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}):
        _, body = Client(site.url).request("/admin/", headers=headers)
        assert "password" in body

    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    connection.request("GET", "/admin/", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 400
    connection.close()


def test_it_refuses_a_socket_to_a_foreign_page(site: Installation) -> None:
    path = socket_path()
    with Client(site.url).socket(path):
        pass

    for origin in ("http://evil.example", f"http://localhost:{site.port}", "http://127.0.0.1:1", "null"):
        with pytest.raises(InvalidStatus, match="403"):
            Client(site.url).socket(path, origin=origin)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_within_two_seconds(installation: Installation, number: int) -> None:
    process = installation.quickstart()

    with Client(installation.url).socket(socket_path()):
        assert process.stop(number) < 2

    assert "Traceback" not in process.output


def test_it_starts_again_on_the_same_address_after_a_kill(installation: Installation) -> None:
    installation.quickstart().kill()

    installation.quickstart()

    assert Client(installation.url).get("/admin/")[0] == 200


def test_it_explains_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "manage.py", "quickstart", "--port", str(port)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "AGENTS_VAR_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode != 0
    assert f"port {port}: Address already in use" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_asks_for_a_password_with_no_local(installation: Installation) -> None:
    process = installation.start(
        [sys.executable, "manage.py", "quickstart", "--no-local", "--fd", str(installation.fd)],
        {**installation.production, "AGENTS_LOCAL": "1"},
        "Agents Site is running",
    )

    process.wait_for_line("changepassword")
    assert "password" in Client(installation.url).get("/admin/")[1]
