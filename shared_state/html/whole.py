"""Values that were cut: what says so beside them, and the page that shows one of them whole, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from shared_state import api
from shared_state.api import StreamInfo
from shared_state.html import pages
from shared_state.html.excerpt import excerpt, named
from shared_state.html.pretty import pretty

PART = 50_000
"""How many characters of a value one page shows."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value stands: in a row, or in an event. The address of the whole is made of it."""

    stream: int
    type: str = ""
    key: str = ""
    offset: int = 0

    def address(self, field: str = "") -> str:
        """Where one of its fields is shown whole, or all of it."""
        where = {"offset": self.offset} if self.offset else {"type": self.type, "key": self.key}
        query = urlencode({**where, "field": field} if field else where)
        return f"{reverse('shared_state:value', args=[self.stream])}?{query}"


@dataclass(frozen=True, slots=True)
class Shown:
    """As much of a value as is shown; `more` says how much is left, with a link to the whole, or is empty."""

    text: str
    more: SafeString


def shown(text: str, room: int, source: Source, field: str = "") -> Shown:
    """A text within a room; see `excerpt`. `field`: which of the source's it is, if it is just one."""
    found = excerpt(text, room)
    return Shown(found.text, more(found.left, source, field))


def more(left: int, source: Source, field: str = "", what: str = "characters") -> SafeString:
    """What says that so much is left, and leads to it."""
    if not left:
        return SafeString("")
    # A name may be as long as a value.
    address = source.address(field if field == named(field) else "")
    return format_html('<a class="more-of" href="{}">… {} more {}</a>', address, f"{left:,}", what)


@login_required
@require_safe
def value(request: HttpRequest, stream: str) -> HttpResponse:
    """A row, an event, or one field of it, whole: a part of its text at a time."""
    found = _stream(request, stream)
    source, content = _content(request, found)
    text = content if isinstance(content, str) else pretty(content)
    start = request.GET.get("from", "")
    begin = min(int(start), len(text)) if start.isdecimal() and len(start) < 12 else 0
    address = source.address(field := request.GET.get("field", ""))
    context = {
        "id": found.path.removeprefix("shared:"),
        "back": _page_of(found),
        "section": "shared" if found.path.startswith("shared:") else "agents",
        "names": [named(name) for name in (source.type, source.key, field) if name],
        "offset": source.offset,
        "text": text[begin : begin + PART],
        "begin": f"{begin:,}",
        "end": f"{min(begin + PART, len(text)):,}",
        "total": f"{len(text):,}",
        "earlier": f"{address}&from={max(0, begin - PART)}" if begin else "",
        "later": f"{address}&from={begin + PART}" if begin + PART < len(text) else "",
    }
    return render(request, "shared_state/value/page.html", context)


def _stream(request: HttpRequest, name: str) -> StreamInfo:
    """A stream that one may read, by its number or its name; 404 for any other, and for what is not there."""
    try:
        found = (
            api.get_stream_by_id(int(name)) if name.isdecimal() and len(name) < 19 else api.get_stream(name)
        )
    except api.StreamNotFound:
        found = None
    if found is None or not api.may(api.principal_of(request.user), "read", found):
        raise Http404("There is no such value.")
    return found


def _content(request: HttpRequest, stream: StreamInfo) -> tuple[Source, Any]:
    """What is asked for, and where it stands."""
    offset, field = request.GET.get("offset", ""), request.GET.get("field", "")
    if offset:
        source = Source(stream.id, offset=int(offset) if offset.isdecimal() and len(offset) < 17 else 0)
        events = api.read(stream.id, source.offset - 1, 1) if source.offset else []
        content: Any = events[0].wire() if events and events[0].offset == source.offset else None
    else:
        source = Source(stream.id, request.GET.get("type", ""), request.GET.get("key", ""))
        row = api.row(stream.id, source.type, source.key)
        content = row.value if row is not None else None
    if content is None or (field and field not in content):
        raise Http404("There is no such value.")
    return source, content[field] if field else content


def _page_of(stream: StreamInfo) -> str:
    if stream.path.startswith("shared:"):
        return reverse("shared_state:shared", args=[stream.path.removeprefix("shared:")])
    return pages.of(f"agent:{stream.path}")
