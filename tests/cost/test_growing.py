"""What a text costs while it is said: bytes by its HTML, rows by its deltas; whatever its shape."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import orjson
import pytest
from django.contrib.auth.models import User

from agents_site.deflate import MEMORY_LEVEL, WINDOW_BITS
from entities.catalog import log, partial_text
from entities.models import Entity
from entities.web import live, queries, streaming
from shared_state import api
from shared_state.api import Event
from shared_state.html import markdown
from shared_state.html.changes import Change
from shared_state.html.growing import Growing
from shared_state.live import codecs
from tests.entities import making
from tests.entities.web.browsing import Element, apply, parse

STEP = 18
"""Characters of a delta."""
ENVELOPE = 180
"""Bytes of a frame without what its changes say."""

SHAPES: dict[str, Callable[[int], str]] = {
    "prose": lambda n: f"Some **words** about `things` that are quite long, and go on for a while ({n}).\n\n",
    "parts": lambda n: f"## Part {n}\n\nSome **words**, and `code`.\n\n- one item\n- another\n\n",
    "list": lambda n: f"- item {n} of a list that is long\n",
    "loose list": lambda n: f"- item {n} of a list that is long\n\n",
    "numbered": lambda n: f"{n + 1}. item of a list\n   - with one in it\n",
    "table": lambda n: ("" if n else "| a | b | c |\n|---|:--|--:|\n") + f"| {n} | some words | {n * n} |\n",
    "code": lambda n: ("" if n else "```python\n") + f"def f{n}(x: int) -> int: return x + {n}\n",
    "blocks of code": lambda n: f"```python\nx = {n}\n```\n",
    "quotes": lambda n: f"> > > nested, and so on, line after line {n}\n",
    "line": lambda n: f"word {n} ",
    "short lines": lambda n: "a\n\n",
}


@pytest.fixture
def bot(ada: User) -> Entity:
    return making.agent(ada, "bot")


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Events that were read to know what had been said."""
    found: list[Event] = []

    def reading(*args: object) -> list[Event]:
        found.extend(batch := api.read(*args))  # type: ignore[arg-type]
        return batch

    monkeypatch.setattr(streaming, "read", reading)
    monkeypatch.setattr(queries, "read", reading)
    return found


def text_of(shape: str, size: int) -> str:
    parts: list[str] = []
    length = 0
    while length < size:
        parts.append(SHAPES[shape](len(parts)))
        length += len(parts[-1])
    return "".join(parts) + ("```\n" if shape == "code" else "")


def begin(bot: Entity, key: str) -> None:
    making.write(bot, [log.new("text", key, {"run_id": "1.0", "status": "streaming"})])


def say(bot: Entity, key: str, text: str, after: int = 0) -> list[Event]:
    """Write a text down, delta by delta; what was appended."""
    before, made = api.get_stream(bot.url).head, []
    for start in range(after, len(text), STEP):
        value = {"text_id": key, "run_id": "1.0", "delta": text[start : start + STEP], "start": start}
        made.append(log.new("text_delta", f"{key}-d{start}", value))
    for first in range(0, len(made), 1_000):
        making.write(bot, made[first : first + 1_000])
    return api.read(bot.stream_id, before, 100_000)


def complete(bot: Entity, key: str, text: str) -> list[Event]:
    before = api.get_stream(bot.url).head
    said = {"run_id": "1.0", "status": "completed", "content": text}
    making.write(bot, [log.new("text", key, said, "update")])
    return api.read(bot.stream_id, before)


def told(bot: Entity, events: list[Event]) -> tuple[list[Change], int]:
    """What each event tells a socket by itself, and the bytes of the frames without that."""
    stream, changes, envelopes = api.get_stream(bot.url), [], 0
    for event in events:
        found = live.render_timeline(stream, [event])
        changes += found
        if found:
            envelopes += len(codecs._patch("timeline", stream, event.offset, [])) + 1
            envelopes += sum(len(orjson.dumps(change.wire())) - said(change) for change in found)
    return changes, envelopes


def said(change: Change) -> int:
    """The bytes of HTML and text in a change, as they are sent."""
    content = getattr(change, "html", "") or getattr(change, "text", "")
    return len(orjson.dumps(content)) - 2


def page_of(bot: Entity) -> Element:
    rendered, _ = queries.render_window(bot, queries.newest(bot.stream_id), [])
    return parse(f'<div id="timeline-{bot.stream_id}">{rendered}</div>')


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [2_000, 20_000, 60_000])
def test_a_text_costs_what_is_new(bot: Entity, rows: list[Event], shape: str, size: int) -> None:
    begin(bot, "t")
    text = text_of(shape, size)
    html = len(markdown.render(text).encode())
    deltas = say(bot, "t", text)

    changes, envelopes = told(bot, [*deltas, *complete(bot, "t", text)])

    bytes_said = sum(map(said, changes))
    assert bytes_said <= 3 * max(html, len(text)), f"{bytes_said / html:.1f} times the HTML"
    assert envelopes <= ENVELOPE * len(deltas) + 3 * html
    assert len(rows) <= 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [2_000, 60_000])
def test_on_the_wire_a_text_costs_three_times_its_html_at_the_most(
    bot: Entity, shape: str, size: int
) -> None:
    """Frames and all: most of a frame is what the one before it said.

    Four bytes at the end of what is compressed are not sent, and the websocket puts as many before it.
    """
    begin(bot, "t")
    text = text_of(shape, size)
    deltas = say(bot, "t", text)
    stream, compressor = (
        api.get_stream(bot.url),
        zlib.compressobj(-1, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL),
    )

    sent = 0
    for event in [*deltas, *complete(bot, "t", text)]:
        for frame in codecs.encode_events("timeline", stream, event.offset - 1, [event]) or ():
            sent += len(compressor.compress(frame.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH))

    html = max(len(markdown.render(text).encode()), len(text))
    assert sent <= 3 * html, f"{sent / html:.1f} times the HTML"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_that_is_loaded_in_the_middle_costs_each_delta_twice(
    bot: Entity, rows: list[Event], shape: str
) -> None:
    begin(bot, "t")
    text = text_of(shape, 20_000)
    half = len(text) // 2 // STEP * STEP
    deltas = say(bot, "t", text[:half])
    told(bot, deltas[:-50])

    page = page_of(bot)
    # The page was not told of what came while it was loaded; this process remembers what was before.
    later = say(bot, "t", text, after=half)
    changes, _ = told(bot, [*deltas[-20:], *later, *complete(bot, "t", text)])

    html = len(markdown.render(text).encode())
    assert sum(map(said, changes)) <= 3 * max(html, len(text))
    assert len(rows) <= 2 * (len(deltas) + len(later))
    apply(page, changes)
    assert page.html() == page_of(bot).html()


def test_another_process_reads_the_deltas_once(
    bot: Entity, rows: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(bot, "t")
    text = text_of("parts", 20_000)
    deltas = say(bot, "t", text)
    told(bot, deltas[:500])
    monkeypatch.setattr(streaming, "_remembered", streaming._Remembered())

    told(bot, deltas[500:])

    assert len(rows) == 500


def test_many_texts_at_once_cost_no_more_each(bot: Entity, rows: list[Event]) -> None:
    keys = [f"t{number}" for number in range(20)]
    for key in keys:
        begin(bot, key)
    made = [
        log.new(
            "text_delta",
            f"{key}-{start}",
            {"text_id": key, "run_id": "1.0", "delta": "word\n\n", "start": start},
        )
        for start in range(0, 600, 6)
        for key in keys
    ]
    before = api.get_stream(bot.url).head
    making.write(bot, made[:1_000])
    making.write(bot, made[1_000:])
    events = api.read(bot.stream_id, before, 5_000)

    changes, _ = told(bot, events)

    assert rows == []
    assert sum(map(said, changes)) <= 3 * len(keys) * len(markdown.render("word\n\n" * 100))


def test_what_is_remembered_is_bounded() -> None:
    remembered = streaming._Remembered()
    text = Growing.of("word " * 20_000)
    for stream in range(1_000):
        for cursor in range(10):
            remembered.keep(stream, cursor, {"t": text})

    assert remembered._weight <= streaming.MOST_CHARACTERS
    assert {len(cursors) for cursors in remembered._streams.values()} == {streaming.MOST_CURSORS}
    remembered.keep(999, 20, {})
    assert 999 not in remembered._streams
    assert remembered._weight == sum(map(streaming._weight, remembered._streams.values()))


def test_what_is_read_again_ends_where_it_is_asked_for(bot: Entity) -> None:
    begin(bot, "t")
    deltas = say(bot, "t", "x" * STEP * 3_000)
    row = api.committed.row(bot.stream_id, "text", "t")
    assert row is not None
    read: list[Event] = []

    def reading(*args: object) -> list[Event]:
        read.extend(batch := api.read(*args))  # type: ignore[arg-type]
        return batch

    found = partial_text.said(reading, bot.stream_id, row, deltas[9].offset)

    assert (len(found), len(read)) == (10 * STEP, 10)
