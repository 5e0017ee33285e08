"""PostgreSQL stops, freezes and starts anew, under pages, calls and sockets: all are answered, and soon."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError

import psycopg
import pytest
from websockets.sync.client import ClientConnection

from tests.acceptance.test_error_pages import END_ALL
from tests.support.client import Client, receive_json
from tests.support.processes import Installation
from tests.support.servers import Postgres, postgres_server

SOON = 3.0
"""Seconds after which everybody is to know that the database is away."""
MANY = 10
AWAY = "503 unavailable"
MESSAGES = "/api/agents/assistant/a/messages"
LOG = "/api/streams/assistant/a"
Door = Callable[[], str]


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def site(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A web process on that database."""
    with Installation(tmp_path_factory.mktemp("outage"), database_url=database.url) as made:
        made.prepare(ada="ada")
        made.serve()
        yield made


@pytest.fixture
def ada(site: Installation) -> Client:
    """She is signed in, and has an agent."""
    client = Client(site.url)
    client.sign_in("ada", "ada")
    client.get("/agents/")
    assert client.json("PUT", "/api/agents/assistant/a")[0] in (201, 409)
    return client


def another(ada: Client) -> Client:
    """One more connection of hers."""
    made = Client(ada.url)
    for cookie in ada.cookies:
        made.cookies.set_cookie(cookie)
    return made


def page(ada: Client, address: str = "/agents/") -> Door:
    return lambda: word(*another(ada).get(address))


def word(status: int, body: str) -> str:
    """The page of the outage is ours; whatever else is told by its status alone."""
    return AWAY if status == 503 and "The database does not answer" in body else str(status)


def call(ada: Client, method: str, address: str, **body: Any) -> Door:
    def door() -> str:
        status, answer = another(ada).json(method, address, **body)
        return f"{status} {answer.get('error', {}).get('code', '')}".strip()

    return door


def frame(socket: ClientConnection, **sent: Any) -> Door:
    def door() -> str:
        socket.send(json.dumps(sent))
        answer = receive_json(socket, 20)
        return AWAY if answer.get("code") == "unavailable" else str(answer["op"])

    return door


def message(socket: ClientConnection, key: str) -> Door:
    return frame(socket, op="send", ref=key, to="/assistant/a", key=key, payload=key)


def retry_after(ada: Client, address: str) -> str | None:
    """What the header of a page says that is an error."""
    with pytest.raises(HTTPError) as raised, ada._opener.open(ada.url + address, timeout=10):
        pass
    with raised.value as error:
        return error.headers["Retry-After"]


def at_once(*doors: Door) -> tuple[list[str], float]:
    """What comes of each, and the seconds that the slowest took."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(doors)) as threads:
        found = list(threads.map(lambda door: door(), doors))
    return found, time.monotonic() - began


def require_told(ada: Client, sockets: list[ClientConnection]) -> None:
    """Every door says within three seconds that the database is away, and what needs none is as ever."""
    pages = [page(ada), page(ada, "/assistant/a/"), page(ada, "/not/there"), page(ada, "/admin/")]
    calls = [call(ada, "GET", LOG), call(ada, "POST", MESSAGES, payload="x", key=f"never-{time.time()}")]
    follow = {"op": "follow", "id": 1, "stream": "/assistant/a", "codec": "timeline"}
    frames = [message(sockets[0], f"lost-{time.time()}"), frame(sockets[1], **follow)]

    found, took = at_once(*pages, *pages, *calls, *frames)

    assert (found, took < SOON) == ([AWAY] * len(found), True), took
    assert ada.get("/healthz") == (200, "ok\n")
    assert ada.get("/static/agents/css/base.css")[0] == 200


def require_answers_to_a_burst(socket: ClientConnection) -> None:
    """Frames that stand behind others are answered as soon."""
    began = time.monotonic()
    for number in range(MANY):
        sent = {
            "op": "send",
            "ref": str(number),
            "to": "/assistant/a",
            "key": f"burst-{number}",
            "payload": "",
        }
        socket.send(json.dumps(sent))
    answers = [receive_json(socket, 20) for _ in range(MANY)]

    assert [(answer["ref"], answer.get("code")) for answer in answers] == [
        (str(number), "unavailable") for number in range(MANY)
    ]
    assert time.monotonic() - began < SOON


def require_well(ada: Client, socket: ClientConnection, key: str) -> None:
    """The next of each kind is as if nothing had been."""
    assert page(ada)() == "200"
    assert call(ada, "POST", MESSAGES, payload=key, key=f"{key}-call")() == "201"
    assert message(socket, f"{key}-frame")() == "ok"
    assert page(ada, "/not/there")() == "404"


def received(ada: Client, prefix: str) -> Counter[str]:
    """How often each payload that begins so is in the agent's log."""
    status, answer = ada.json("GET", f"{LOG}?limit=1000&types=inbox")
    assert status == 200
    texts = [str(event["value"].get("payload")) for event in answer["events"]]
    return Counter(text for text in texts if text.startswith(prefix))


def test_one_that_is_stopped_is_told_of_by_every_door(ada: Client, database: Postgres) -> None:
    with ada.socket("/live/") as one, ada.socket("/live/") as two:
        require_well(ada, one, "before-stop")
        database.stop()
        try:
            require_told(ada, [one, two])
            require_answers_to_a_burst(one)
            assert retry_after(ada, "/agents/") == "2"
        finally:
            database.start()

        require_well(ada, one, "after-stop")


def test_one_that_is_frozen_is_told_of_by_every_door(ada: Client, database: Postgres) -> None:
    with ada.socket("/live/") as one, ada.socket("/live/") as two:
        require_well(ada, one, "before-frost")
        database.freeze()
        try:
            require_told(ada, [one, two])  # which finds it out
            require_told(ada, [one, two])  # where it is known
            require_answers_to_a_burst(two)
        finally:
            database.thaw()

        require_well(ada, one, "after-frost")


def test_after_a_restart_nobody_notices(ada: Client, database: Postgres) -> None:
    """The pool is full of connections that are dead, and each would have failed somebody."""
    pages, calls = [page(ada)] * MANY, [call(ada, "GET", LOG)] * MANY
    with ada.socket("/live/") as socket:
        at_once(*pages, *calls, message(socket, "restart-warm"))  # opens connections
        for number in range(2):
            database.stop()
            database.start()
            messages = [
                call(ada, "POST", MESSAGES, payload=f"restart-{number}-{each}") for each in range(MANY)
            ]

            found, _ = at_once(*pages, *messages, *calls, message(socket, f"restart-frame-{number}"))

            assert found == ["200"] * MANY + ["201"] * MANY + ["200"] * MANY + ["ok"]
        for number in range(2):
            with psycopg.connect(database.url, autocommit=True) as connection:
                connection.execute(END_ALL)
            found, _ = at_once(*pages, *calls, message(socket, f"restart-ended-{number}"))
            assert found == ["200"] * 2 * MANY + ["ok"]

    assert set(received(ada, "restart-").values()) == {1}
    assert len(received(ada, "restart-")) == 1 + 2 * MANY + 4
