"""A text on its way: what is whole is prose, what is being written is raw, and every page shows the same."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from entities.catalog import log
from entities.models import Entity
from entities.web import live, queries
from shared_state import api
from shared_state.html import render_process
from shared_state.html.changes import Grow
from tests.entities import making
from tests.entities.web.browsing import Element, apply, parse
from tests.shared_state.html.test_growing import texts

TEXT = """# Bees

They **dance**. 🐝 A dance tells
where flowers are.

- near: a *round* dance
- far: a waggle dance

```python
def dance(far: bool) -> str:
    return "waggle" if far else "round"
```
That is all.

> And they know it.

The end"""


@pytest.fixture
def bot(ada: User) -> Entity:
    """An agent whose run has begun to say something."""
    bot = making.agent(ada, "bot")
    started = {"run_id": "1.0", "status": "streaming"}
    making.write(bot, [*making.run("1.0")[:1], log.new("text", "t", started)])
    return bot


def say(bot: Entity, text: str, start: int) -> None:
    value = {"text_id": "t", "run_id": "1.0", "delta": text, "start": start}
    making.write(bot, [log.new("text_delta", f"t-d{start}", value)])


def page_of(bot: Entity) -> Element:
    rendered, _ = queries.render_window(bot, queries.newest(bot.stream_id), [])
    return parse(f'<div id="timeline-{bot.stream_id}">{rendered}</div>')


@pytest.mark.parametrize("size", [1, 7, 40, 500])
def test_a_page_that_watched_is_the_page_that_is_loaded_after_every_piece(bot: Entity, size: int) -> None:
    watched = page_of(bot)
    for start in range(0, len(TEXT), size):
        before = bot.stream.head
        say(bot, TEXT[start : start + size], start)
        stream = api.get_stream(bot.url)
        apply(watched, live.render_timeline(stream, api.read(stream.id, before)))

        assert watched.html() == page_of(bot).html()
    assert "The end" in watched.text


@pytest.mark.parametrize("text", texts()[:25])
def test_whatever_is_said_is_the_same_on_both_and_in_the_end(bot: Entity, text: str) -> None:
    watched, stream = page_of(bot), api.get_stream(bot.url)
    for start in range(0, len(text), 23):
        before = bot.stream.head
        say(bot, text[start : start + 23], start)
        stream = api.get_stream(bot.url)
        apply(watched, live.render_timeline(stream, api.read(stream.id, before)))
    assert watched.html() == page_of(bot).html()

    before, begun = bot.stream.head, bot.stream.head // 2
    said = {"run_id": "1.0", "status": "completed", "content": text}
    making.write(bot, [log.new("text", "t", said, "update")])
    apply(watched, live.render_timeline(stream, api.read(stream.id, before)))
    assert watched.html() == page_of(bot).html()

    # What is told twice changes nothing.
    apply(watched, live.render_timeline(stream, api.read(stream.id, begun)))
    assert watched.html() == page_of(bot).html()


def test_it_is_the_same_for_a_reader_who_comes_late(bot: Entity) -> None:
    """Rendered in batches as they were never rendered before, when the text has long been finished."""
    first, after = page_of(bot), bot.stream.head
    for start in range(0, len(TEXT), 20):
        say(bot, TEXT[start : start + 20], start)
    on_its_way = page_of(bot)
    ended = bot.stream.head
    said = {"run_id": "1.0", "status": "completed", "content": TEXT}
    making.write(bot, [log.new("text", "t", said, "update")])
    stream = api.get_stream(bot.url)

    events = [event for event in api.read(stream.id, after) if event.offset <= ended]
    for begin in range(0, len(events), 3):
        apply(first, live.render_timeline(stream, events[begin : begin + 3]))

    assert first.html() == on_its_way.html()


def test_what_is_whole_is_prose_and_code_is_shown_as_code_from_its_first_line(bot: Entity) -> None:
    code = TEXT.index("return")
    say(bot, TEXT[:code], 0)

    page = page_of(bot)

    assert [each.tag for each in page.walk() if each.tag in {"h1", "strong", "ul"}] == ["h1", "strong", "ul"]
    raw = page.find(f"textraw-{bot.stream_id}-t")
    assert raw is not None
    assert (raw.tag, raw.children) == ("code", ["def dance(far: bool) -> str:\n    "])
    assert page.having("class", "code-language")[0].text == "python"


def test_only_what_completes_a_block_is_rendered_anew(bot: Entity) -> None:
    """The rest is appended: a line costs its length, not that of the text."""
    rendered, pieces = 0, range(0, len(TEXT), 5)
    for start in pieces:
        before = bot.stream.head
        say(bot, TEXT[start : start + 5], start)
        stream = api.get_stream(bot.url)
        rendered += sum(
            isinstance(change, Grow) for change in live.render_timeline(stream, api.read(stream.id, before))
        )

    assert 4 < rendered < len(pieces) / 4


def test_words_of_an_attempt_that_was_taken_back_are_not_said_again(bot: Entity) -> None:
    say(bot, "Once.\n\nTwice", 0)
    fresh = {"run_id": "1.0", "status": "streaming"}
    making.write(bot, [api.NewEvent("text", "t", None, "delete"), log.new("text", "t", fresh)])
    before = bot.stream.head
    say(bot, "Anew.\n\n", 0)
    watched = page_of(bot)
    stream = api.get_stream(bot.url)

    apply(watched, live.render_timeline(stream, api.read(stream.id, before)))

    assert "Once" not in watched.text
    assert "Anew." in watched.text


def test_a_text_that_cannot_be_rendered_is_said_as_it_is_and_the_others_are_not(
    bot: Entity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_process, "PROCESSOR_SECONDS", 0.1)
    watched, stream, before = page_of(bot), api.get_stream(bot.url), bot.stream.head
    hostile, said = "[a](" * 25_000, {"run_id": "1.0", "status": "completed"}
    say(bot, hostile, 0)
    making.write(bot, [log.new("text", "t", said | {"content": hostile}, "update")])
    making.write(bot, [log.new("text", "u", said | {"content": "**fine**"})])

    for event in api.read(stream.id, before):
        apply(watched, live.render_timeline(stream, [event]))

    assert watched.html() == page_of(bot).html()
    assert [each.text for each in watched.having("class", "as-it-is")] == [hostile]
    assert [each.text for each in watched.walk() if each.tag == "strong"] == ["fine"]
