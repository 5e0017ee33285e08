"""A log as bytes says what its events say, in either form, and reads no more than it must."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from shared_state import api
from shared_state.core.types import NewEvent, Provenance, StreamInfo
from shared_state.log import wire
from shared_state.models import EventRecord
from tests.conformance.writing import append, make_stream, note
from tests.site.test_docs import run

ODD = 'a "quote", a \\, a \n, a \u2028, \x1f\x7f, ünï, 🙂, </script>, \\u0000'
expanded = run("docs/reference/http.md")["expanded"]


def odd_log() -> StreamInfo:
    """Events of every kind, with texts that JSON has to escape, by several writers, at several times."""
    stream = make_stream()
    append(stream, note("a", text=ODD, deep={"list": [1, 2.5, None, True, []]}), note(ODD, text=""))
    append(stream, NewEvent(ODD[:90], "b", {ODD: ODD}, fold=False))
    append(stream, note("a", "update", text="new", keep_old=True))
    append(stream, note("a", "delete"))
    for provenance in (Provenance(ODD, ODD[:60], ODD[:60], ODD[:60]), Provenance("user:ada", run="1.0")):
        append(stream, *(note(n=n) for n in range(3)), provenance=provenance)
    append(stream, note(n=-math.pi), note(n=10**15))
    return stream


def read(stream: StreamInfo, form: str, after: int = 0, limit: int = 500, types: Any = None) -> Any:
    """All events, page by page."""
    made, found = wire.FORMS[form](), []
    while limit > 0:
        page = wire.page(stream.id, after, limit, types, made)
        found += page.events
        after, limit = page.last, limit - len(page.events)
        if page.complete:
            break
    return orjson.loads(f"[{','.join(found)}]")


@pytest.mark.parametrize("form", ["plain", "compact"])
@pytest.mark.parametrize("types", [None, ["note"], ["note", ODD[:90]], ["none"], ["none", "other"]])
@pytest.mark.parametrize(("after", "limit"), [(0, 500), (2, 500), (3, 4), (99, 500)])
def test_both_forms_say_what_the_events_say(
    form: str, types: list[str] | None, after: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PAGE_EVENTS", 3)
    stream = odd_log()

    found = read(stream, form, after, limit, types)

    whole = found if form == "plain" else expanded({"events": found})
    assert whole == [event.wire() for event in api.read(stream.id, after, limit, types)]


def test_what_repeats_stands_once() -> None:
    stream = odd_log()

    sources = [event[0] for event in read(stream, "compact")]

    assert len([source for source in sources if isinstance(source, list)]) == 6
    assert sources[-1] == 0


def test_a_time_without_microseconds_is_written_as_events_write_it() -> None:
    stream = make_stream()
    append(stream, note(), note())
    found = EventRecord.objects.filter(stream=stream.id)
    for event in found:
        event.timestamp = event.timestamp.replace(microsecond=0)
        event.save(update_fields=["timestamp"])

    assert read(stream, "plain") == [event.wire() for event in api.read(stream.id)]
    assert expanded({"events": read(stream, "compact")}) == read(stream, "plain")


@pytest.mark.parametrize("forms", ["plain", "compact"])
def test_a_page_ends_with_the_event_that_fills_it(forms: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PAGE_BYTES", 5_000)
    stream = make_stream()
    append(stream, *(note(text="x" * 1_000) for _ in range(20)))
    form = wire.FORMS[forms]()

    first = wire.page(stream.id, 0, 500, None, form)
    rest = wire.page(stream.id, first.last, 500, None, form)

    assert (len(first.events), first.last, first.complete) == (5, 5, False)
    assert (len(rest.events), rest.last) == (5, 10)
    assert 5_000 <= first.size < 6_100
    # The connection is free again, though there was more to read.
    assert len(api.read(stream.id)) == 20
