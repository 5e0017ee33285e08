"""Replaying a log shows what reloading its page shows: timeline, tables, tree and board."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from entities.catalog import timeline
from entities.models import Entity
from entities.testing import runtime
from entities.types.registry import registry
from entities.web import board_page, live, panel, queries, render
from shared_state import api
from shared_state.api import Event, StreamInfo
from shared_state.html import boards, tables
from shared_state.html.changes import Change
from shared_state.html.dom import dom_id
from shared_state.html.partials import joined
from tests.entities.web.browsing import Element, apply, parse

Renderer = Callable[[StreamInfo, Sequence[Event]], list[Change]]
TOPIC = "Debate: should cities ban private cars?"


@pytest.fixture
async def debate() -> Entity:
    """A debate that was held from the first word to the ruling, by the offline model."""
    await runtime.look(registry.store)
    url = await runtime.spawn("debate", "town", message=TOPIC)
    async with runtime.working() as worker:
        await runtime.quiet(worker)
    return await runtime.entity(url)


def replayed(path: str, codec: Renderer, page: str, batch: int = 7) -> Element:
    """An empty page after all events of a stream, in small batches as they may have come."""
    stream = api.get_stream(path)
    root = parse(page)
    events = api.read(stream.id, limit=100_000)
    for start in range(0, len(events), batch):
        apply(root, codec(stream, events[start : start + batch]))
    return root


def comparable(root: Element) -> str:
    """HTML without what a push leaves to the presence feed: the status of other agents."""
    html = root.html()
    html = re.sub(r'data-status="\w*"', 'data-status=""', html)
    html = re.sub(r'(<span class="status-word">)[^<]*', r"\1", html)
    html = re.sub(r' data-lease-until="[^"]*"', "", html)
    return re.sub(r'data-after="\w+"', 'data-after=""', html)


def reloaded_timeline(agent: Entity) -> Element:
    window = queries.newest(agent.stream_id, limit=100_000)
    return parse(f'<div id="timeline-{agent.stream_id}">{queries.render_window(agent, window, [])[0]}</div>')


async def test_a_timeline_is_the_same_replayed_and_reloaded(debate: Entity) -> None:
    family = await runtime.look(lambda: list(Entity.objects.all()))

    assert len(family) == 3
    for agent in family:
        shown = await runtime.look(reloaded_timeline, agent)
        empty = f'<div id="timeline-{agent.stream_id}"></div>'
        page = await runtime.look(replayed, agent.url, live.render_timeline, empty)
        assert comparable(page) == comparable(shown)
        assert page.having("class", "run"), f"{agent.url} shows no run"


async def test_a_timeline_is_the_same_at_every_moment(debate: Entity) -> None:
    """Not only at the end: what is partial at some offset is rendered alike, too."""
    stream = await runtime.look(api.get_stream, debate.url)
    events = await runtime.look(api.read, stream.id, 0, 100_000)
    page = parse(f'<div id="timeline-{stream.id}"></div>')
    for event in events:
        apply(page, live.render_timeline(stream, [event]))
        past = [each for each in events if each.offset <= event.offset]
        assert comparable(page) == comparable(_as_of(debate, past))


def _as_of(agent: Entity, events: list[Event]) -> Element:
    """The page of the rows that some events amount to."""
    rows: dict[tuple[str, str], api.Row] = {}
    for event in events:
        place = (event.type, event.key)
        if event.operation == "delete":
            rows.pop(place, None)
        elif event.type in timeline.TYPES:
            known = rows.get(place)
            rows[place] = api.Row(
                event.stream, event.type, event.key, event.value,
                known.created if known else event.offset, event.offset,
                known.created_at if known else event.timestamp, event.timestamp, event.provenance,
            )  # fmt: skip
    found = list(rows.values())
    partial = {(row.type, row.key) for row in timeline.partial_rows(found)}
    deltas = [event for event in events if event.type in timeline.DELTAS]
    raws = {place: raw for place, raw in timeline.joined(deltas).items() if place in partial}
    rendered = render.render_nodes(timeline.tree(found, raws), agent.url)
    return parse(f'<div id="timeline-{agent.stream_id}">{rendered}</div>')


async def test_earlier_rows_complete_the_newest_window(debate: Entity) -> None:
    """Window after window from the end, as a reader scrolls up, gives the whole page."""

    def read_back() -> Element:
        window = queries.newest(debate.stream_id, limit=5)
        rendered, _ = queries.render_window(debate, window, [])
        page = parse(f'<div id="timeline-{debate.stream_id}">{rendered}</div>')
        before = window.before
        while before is not None:
            puts, before = queries.earlier(debate, before, limit=5)
            apply(page, puts)
        return page

    page, whole = await runtime.look(read_back), await runtime.look(reloaded_timeline, debate)

    assert comparable(page) == comparable(whole)


async def test_the_tree_of_agents_is_the_same_replayed_and_reloaded(debate: Entity) -> None:
    def reload() -> Element:
        listing = queries.families(runtime.ADA)
        return parse(f'<ul id="agents-tree">{live.render_tree(listing.agents)}</ul>')

    shown = await runtime.look(reload)
    page = await runtime.look(
        replayed, "presence:user:ada", live.render_presence, '<ul id="agents-tree"></ul>'
    )

    assert page.html() == shown.html()
    assert len(page.having("data-line")) == 3


async def test_tables_are_the_same_replayed_and_reloaded(debate: Entity) -> None:
    path = f"shared:debate-{debate.url}"

    def reload() -> Element:
        stream = api.get_stream(path)
        spec = api.collections(stream.schema)["arguments"]
        rows = api.rows(stream.id, spec.type)
        found = tables.render_rows(stream.id, spec, rows, tables.replaced(stream.id, rows))
        rendered = joined(html for _, html in found)
        return parse(f'<table><tbody id="{tables.body_id(stream.id, spec)}">{rendered}</tbody></table>')

    shown = await runtime.look(reload)
    stream = await runtime.look(api.get_stream, path)
    empty = f'<table><tbody id="rows-{stream.id}-shared_3a_argument"></tbody></table>'
    page = await runtime.look(replayed, path, tables.render_table, empty)

    assert page.html() == shown.html()
    assert len(page.having("class", "row")) == 4


async def test_the_state_of_an_agent_is_the_same_replayed_and_reloaded(debate: Entity) -> None:
    def reload() -> Element:
        spec = live.state_specs(debate.url)["status"]
        rows = api.rows(debate.stream_id, spec.type)
        found = tables.render_rows(debate.stream_id, spec, rows, tables.replaced(debate.stream_id, rows))
        rendered = joined(html for _, html in found)
        return parse(
            f'<table><tbody id="{tables.body_id(debate.stream_id, spec)}">{rendered}</tbody></table>'
        )

    shown = await runtime.look(reload)
    empty = f'<table><tbody id="rows-{debate.stream_id}-state_3a_status"></tbody></table>'
    page = await runtime.look(replayed, debate.url, live.render_state, empty)

    assert page.html() == shown.html()
    assert page.having("class", "changed"), "nothing says what the last change changed"


async def test_a_board_is_the_same_replayed_and_reloaded(debate: Entity) -> None:
    path = f"shared:debate-{debate.url}"

    def reload() -> Element:
        stream = api.get_stream(path)
        (board,) = boards.boards(stream)
        rendered = boards.newest(board, stream.id).rows
        return parse(f'<div id="{board.rows_id}">{rendered}</div>')

    shown = await runtime.look(reload)
    page = await runtime.look(
        replayed, path, boards.render_board, f'<div id="{dom_id("boardrows", path)}"></div>'
    )

    assert comparable(page) == comparable(shown)
    assert len(page.having("class", "card")) == 4
    assert len(page.having("class", "board-row")) == 2


async def test_what_surrounds_a_board_is_the_same_replayed_and_reloaded(debate: Entity) -> None:
    def reload() -> Element:
        found = board_page.board_page(runtime.ADA, debate, 0)
        assert found is not None
        parts = "".join(found.parts.values())
        host = f'<ul id="{found.participants_id}">{found.participants}</ul>'
        return parse(f'{parts}{host}<div id="{found.pools_id}">{found.pools}</div>')

    def empty() -> str:
        ((_, hint),) = panel.hints("debate")
        assert hint is not None
        host = debate.stream_id
        parts = "".join(panel.render_parts(host, 0, hint, {}, 0).values())
        pools = f'<div id="pools-{host}">{panel.render_pool(debate.url, "")}</div>'
        return f'{parts}<ul id="participants-{host}"></ul>{pools}'

    shown = await runtime.look(reload)
    page = await runtime.look(replayed, debate.url, panel.render_panel, await runtime.look(empty))

    for root in (page, shown):
        for name in root.having("data-agent-title"):
            name.children = []  # the presence feed knows it
    assert comparable(page) == comparable(shown)
    assert "cars" in page.text
    assert page.having("class", "cite")


async def test_drafts_are_gone_when_the_arguments_are_there(debate: Entity) -> None:
    """A participant's log brings its drafts and takes them away again."""
    for side in ("pro", "con"):
        path = f"/worker/town-{side}"
        empty = panel.render_pool(path, "")
        stream = await runtime.look(api.get_stream, path)
        events = await runtime.look(api.read, stream.id, 0, 100_000)
        page, most = parse(empty), 0
        for event in events:
            apply(page, panel.render_panel(stream, [event]))
            most = max(most, len(page.having("data-draft")))
        assert (most, len(page.having("data-draft"))) == (1, 0)
