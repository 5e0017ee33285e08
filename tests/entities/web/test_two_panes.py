"""Two panes of one kind can stand on one page: they share no id, and links find their own."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from entities.catalog import log
from entities.models import Entity
from entities.types.registry import registry
from entities.web import live, panel
from shared_state import api
from shared_state.api import Collection, NewEvent, Provenance, SharedStateSchema, StreamInfo
from shared_state.html.changes import Put
from tests.entities import making
from tests.entities.web.browsing import Element, parse

HINT = {"kind": "board", "columns": "side", "column_values": ["pro", "con"], "rows": "round", "text": "text"}
SCHEMA = SharedStateSchema(arguments=Collection(board=HINT))
RULING = {
    "value": "done",
    "topic": "Bees",
    "ruling": "It rests on [pro-1].",
    "winner": "pro",
    "cites": ["pro-1"],
}


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    """A browser that is signed in as Ada."""
    client.force_login(ada)
    return client


@pytest.fixture
def debates(ada: User) -> list[Entity]:
    """Two debates that went alike, each with an agent that writes and a shared state that it wrote into."""
    registry.store()
    return [debate(ada, slug) for slug in ("one", "other")]


def debate(owner: User, slug: str) -> Entity:
    host = making.agent(owner, slug, type="debate")
    child = making.agent(owner, f"{slug}-pro", type="worker", parent=host)
    shared = shared_of(host)
    row = {"key": "pro-1", "side": "pro", "round": 1, "text": "Because."}
    api.unit(
        lambda unit: api.collection.upsert(unit, shared.id, SCHEMA["arguments"], row),
        provenance=Provenance(f"agent:{child.url}", run="1.0", tool_call="1.0-c"),
    )
    manifest = {"kind": "child", "url": child.url, "entity_type": "worker"}
    making.write(
        host,
        [
            log.new("manifest", f"child:{child.url}", manifest),
            NewEvent("state:status", "current", RULING),
            *making.run("1.0"),
            making.call("1.0-c", "1.0"),
        ],
    )
    writing = {"tool_name": "write_arguments", "args": None}
    making.write(child, [*making.run("1.0")[:1], making.call("1.0-d", "1.0", status="started", **writing)])
    return host


def shared_of(host: Entity) -> StreamInfo:
    path, owner = f"shared:debate-{host.url}", host.owner
    return api.unit(
        lambda unit: unit.create_stream(path, "shared", owner, schema=SCHEMA.to_json()),
        provenance=Provenance(owner),
    )


def pane(page: Client, address: str) -> Element:
    """The live part of a page."""
    root = parse(page.get(address).content.decode().replace("<!doctype html>", ""))
    (region,) = root.having("data-region")
    return region


def ids(element: Element) -> list[str]:
    return [each.attributes["id"] for each in element.walk() if "id" in each.attributes]


@pytest.mark.parametrize(
    ("address", "least"),
    [
        ("{url}/", 10),
        ("{url}/state/", 3),
        ("{url}/events/", 8),
        ("{url}/board/0/", 12),
        ("/shared/debate-{url}/", 3),
        ("/shared/debate-{url}/?view=board", 5),
    ],
    ids=["timeline", "state", "events", "board", "tables", "shared board"],
)
def test_two_panes_for_two_streams_share_no_id(
    page: Client, debates: list[Entity], address: str, least: int
) -> None:
    both = [ids(pane(page, address.format(url=host.url))) for host in debates]

    assert min(map(len, both)) >= least
    together = both[0] + both[1]
    assert sorted(set(together)) == sorted(together)


def test_what_is_pushed_goes_to_the_pane_of_its_stream(page: Client, debates: list[Entity]) -> None:
    """Every place that a push may go to stands in that stream's own pane, and in no other's."""
    one, other = debates
    there, elsewhere = (set(ids(pane(page, f"{host.url}/board/0/"))) for host in (one, other))
    timelines = [set(ids(pane(page, f"{host.url}/"))) for host in (one, other)]
    stream = api.get_stream(one.url)
    events = api.read(stream.id, limit=1000)

    for renderer, own, foreign in (
        (panel.render_panel, there, elsewhere),
        (live.render_timeline, timelines[0], timelines[1]),
    ):
        puts = [change for change in renderer(stream, events) if isinstance(change, Put)]
        places = {put.parent for put in puts if put.parent} | {put.target for put in puts}
        assert len(places) > 4
        assert places <= own
        assert not places & foreign


def test_a_ruling_cites_the_cards_of_its_own_board(page: Client, debates: list[Entity]) -> None:
    for host in debates:
        board = pane(page, f"{host.url}/board/0/")
        links = {link.attributes["href"].removeprefix("#") for link in board.having("class", "cite")}
        assert links == {card.attributes["id"] for card in board.having("data-key", "pro-1")}


def test_a_card_links_to_a_tool_call_in_whichever_pane_shows_it(page: Client, debates: list[Entity]) -> None:
    """The link names kind and key alone; the script puts the pane's stream between them."""
    for host in debates:
        card = pane(page, f"/shared/debate-{host.url}/?view=board").having("data-key", "pro-1")[0]
        (link,) = [each for each in card.walk() if each.tag == "a"]
        assert link.attributes["href"].endswith("-pro/#tool-1.0-c")
        timeline = pane(page, f"{host.url}/").having("data-timeline")[0]
        assert timeline.attributes["data-stream"] == str(host.stream_id)
        assert timeline.find(f"tool-{timeline.attributes['data-stream']}-1.0-c") is not None
