"""The socket under the real servers: what their own limits must not do to it."""

import json
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection

from tests.support.client import Client, receive_json
from tests.support.processes import Installation, Process

SERVERS: list[Callable[[Installation], Process]] = [Installation.serve, Installation.uvicorn]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("site")) as made:
        made.prepare(ada="ada")
        yield made


@pytest.fixture(params=SERVERS, ids=lambda start: str(start.__name__))
def page(request: pytest.FixtureRequest, site: Installation) -> Iterator[ClientConnection]:
    process = request.param(site)
    ada = Client(site.url)
    ada.sign_in("ada", "ada")
    with ada.socket("/live/") as socket:
        yield socket
    process.stop()


def ask(page: ClientConnection, **frame: object) -> dict[str, object]:
    page.send(json.dumps(frame))
    answer = receive_json(page)
    assert isinstance(answer, dict)
    return answer


def test_a_megabyte_is_refused_and_the_socket_lives_on(page: ClientConnection) -> None:
    for size in (1_000_000, 2**20, 3 * 2**20):
        answer = ask(page, op="send", ref="m1", to="/assistant/x", key="k" * 36, payload="x" * size)
        assert (answer["op"], answer["code"]) == ("error", "frame_too_large")
    assert ask(page, op="dance")["code"] == "unknown_operation"


def test_what_is_not_there_is_refused_and_the_socket_lives_on(page: ClientConnection) -> None:
    answer = ask(page, op="follow", id=1, stream="/assistant/x", codec="timeline")
    assert (answer["code"], answer["id"]) == ("stream_not_found", 1)
    assert ask(page, op="follow", id=2, stream="/assistant/x", codec="timeline")["id"] == 2


@pytest.mark.parametrize("start", SERVERS, ids=lambda start: str(start.__name__))
def test_when_the_server_stops_the_page_is_told_to_come_back(
    start: Callable[[Installation], Process], site: Installation
) -> None:
    process = start(site)
    ada = Client(site.url)
    ada.sign_in("ada", "ada")
    with ada.socket("/live/") as page:
        ask(page, op="dance")
        process.stop()
        with pytest.raises(ConnectionClosedError) as closed:
            page.recv(timeout=10)
    assert closed.value.rcvd is not None
    # Ours, or Uvicorn's own: both mean that the service restarts.
    assert closed.value.rcvd.code in {4012, 1012}


@pytest.mark.parametrize("start", SERVERS, ids=lambda start: str(start.__name__))
def test_nobody_is_told_to_sign_in(start: Callable[[Installation], Process], site: Installation) -> None:
    process = start(site)
    with Client(site.url).socket("/live/") as page, pytest.raises(ConnectionClosedError) as closed:
        page.recv(timeout=10)
    process.stop()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
