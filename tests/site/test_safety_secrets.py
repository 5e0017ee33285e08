"""Keys, passwords and cookies are in no log line and on no page, however much is logged."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.client import CSRF_COOKIE, Client
from tests.support.processes import SECRET_KEY, Installation
from tests.support.waiting import wait_until

KEY = "sk-ant-a-key-that-nobody-may-read-7f3c"
PASSWORD = "a-password-that-nobody-may-read-7f3c"


class Refusing(BaseHTTPRequestHandler):
    """A provider that knows nobody, and repeats the key that it was given, as some proxies do."""

    keys: list[str] = []

    def do_POST(self) -> None:
        given = self.headers.get("x-api-key", "")
        self.keys.append(given)
        body = b'{"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_no_secret_is_logged_or_shown(tmp_path: Path, provider: str) -> None:
    settings = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": provider, "AGENTS_LOG_LEVEL": "DEBUG"}
    settings |= {"SECRET_KEY": SECRET_KEY, "AGENTS_SECURE_COOKIES": "0"}
    with Installation(tmp_path, **settings) as site:
        site.prepare(staff=PASSWORD)
        process = site.quickstart("--no-local")
        staff = Client(site.url)
        staff.sign_in("staff", PASSWORD)
        staff.get("/")
        status, _ = staff.post("/agents/chat/", message="Hello", key="secret000001")
        assert status == 200

        def failed() -> bool:
            return "invalid x-api-key" in staff.get("/assistant/secret000001/")[1]

        wait_until(failed, "the run to fail", 30)
        pages = [staff.get(path)[1] for path in SHOWN]
        refused_api = staff.request(
            "/api/agents/assistant/x/messages", b"{", {"Content-Type": "application/json"}
        )
        output = process.output

        assert Refusing.keys
        assert set(Refusing.keys) == {KEY}
        session, csrf = staff.cookie("agents_session"), staff.cookie(CSRF_COOKIE)
        for secret in (KEY, PASSWORD, SECRET_KEY, session, csrf):
            assert secret, "there is one"
            assert secret not in output
        for secret in (KEY, PASSWORD, SECRET_KEY, session):
            assert secret not in "".join(pages) + refused_api[1]
        assert "DEBUG" in output.upper()


SHOWN = (
    "/", "/assistant/secret000001/", "/assistant/secret000001/events/?type=all", "/admin/entities/entity/",
    "/admin/entities/wake/", "/admin/shared_state/eventrecord/", "/admin/entities/entity/1/change/", "/none/",
    "/api/streams/assistant/secret000001",
)  # fmt: skip


def test_a_fault_is_logged_without_the_request(tmp_path: Path) -> None:
    """The database is taken away: pages fail, and what is logged holds no cookie."""
    with Installation(tmp_path) as site:
        site.prepare(ada="ada")
        web = site.serve()
        ada = Client(site.url)
        ada.sign_in("ada", "ada")
        for path in tmp_path.glob("db.sqlite3*"):
            path.write_bytes(b"not a database" * 100)

        status, page = ada.get("/")
        api_status, answer = ada.get("/api/streams/assistant/x")

        assert status == 500
        assert api_status in (500, 503)
        assert "Traceback" not in page + answer
        assert "Error" in web.output
        for secret in (ada.cookie("agents_session"), SECRET_KEY):
            assert secret not in web.output
