"""Pages about shared state: the list of streams, and one stream's collections as tables or boards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.db.models import F, OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from shared_state import api
from shared_state.api import CollectionSpec, Json, Principal, StreamInfo
from shared_state.html import boards, pages, tables
from shared_state.html.changes import Put
from shared_state.html.dom import dom_id
from shared_state.html.excerpt import PAGE
from shared_state.html.foreign import on_behalf_of
from shared_state.models import EventRecord, Stream

STREAMS_PAGE = 50
ROWS_PAGE = 300
"""How many rows of each collection are loaded at once."""


@login_required
@require_safe
def shared_list(request: HttpRequest) -> HttpResponse:
    """Shared states, the one that changed last first."""
    principal = api.principal_of(request.user)
    skipped = int(request.GET["from"]) if request.GET.get("from", "").isdecimal() else 0
    found = newest_streams(principal, skipped, STREAMS_PAGE + 1)
    context = {
        "streams": found[:STREAMS_PAGE],
        "skipped": skipped,
        "section": "shared",
        "further": skipped + STREAMS_PAGE if len(found) > STREAMS_PAGE else None,
    }
    return render(request, "shared_state/list/page.html", context)


def newest_streams(principal: Principal, skipped: int, limit: int) -> list[dict[str, Any]]:
    """Shared states with the counts of their collections, by last change.

    Four queries, two for staff; they read what the principal may see, and nobody else's streams.
    """
    last = EventRecord.objects.filter(stream=OuterRef("pk"), offset=OuterRef("head")).values("timestamp")
    streams = Stream.objects.filter(kind=Stream.Kind.SHARED).annotate(changed_at=Subquery(last))
    newest = F("changed_at").desc(nulls_last=True)
    found = {
        stream.id: stream
        for part in api.visible_parts(principal, streams)
        for stream in part.order_by(newest, "-id")[: skipped + limit]
    }
    page = sorted(found.values(), key=_last_change, reverse=True)[skipped : skipped + limit]
    counts = api.count_rows_of([stream.id for stream in page])
    return [
        {
            "stream": stream,
            "id": stream.path.removeprefix("shared:"),
            "changed_at": _last_change(stream)[1],
            "collections": [
                {"name": spec.name, "count": api.how_many(counts.get(stream.id, {}).get(spec.type, 0))}
                for spec in api.collections(stream.schema).values()
            ],
        }
        for stream in page
    ]


def _last_change(stream: Any) -> tuple[bool, datetime | None, int]:
    """What the list is sorted by: whether it ever changed, when, and which was made later."""
    return stream.changed_at is not None, stream.changed_at, stream.id


@login_required
@require_safe
def shared(request: HttpRequest, id: str) -> HttpResponse:
    """One shared state: tables, or the boards that its collections ask for."""
    principal = api.principal_of(request.user)
    stream = _stream(principal, id)
    with on_behalf_of(stream):
        return _shown(request, principal, id, stream)


def _shown(request: HttpRequest, principal: Principal, id: str, stream: StreamInfo) -> HttpResponse:
    if request.GET.get("part") == "earlier":
        return _earlier(request, stream)
    shown = boards.boards(stream)
    context: dict[str, Any] = {
        "id": id,
        "stream": stream,
        "section": "shared",
        "boards": shown,
        "family": (family := _family(principal, stream)),
        "family_url": pages.of(f"agent:{family}"),
        "cursor": api.format_offset(stream.head),
    }
    if shown and request.GET.get("view") == "board":
        cards = boards.newest(shown[0], stream.id)
        context |= _tabs(id, "board") | {"region_id": dom_id("boardregion", stream.id)}
        context |= {"board": shown[0], "rows": cards.rows, "shown": cards.count}
        context["whole_url"] = context["tables_url"] if cards.is_cut else ""
        return render(request, "shared_state/board/page.html", context)
    context |= _tabs(id, "tables") | {"region_id": dom_id("tablesregion", stream.id)}
    return render(request, "shared_state/table/page.html", context | _tables(stream))


def _tabs(id: str, shown: str) -> dict[str, Any]:
    address = reverse("shared_state:shared", args=[id])
    return {
        "tables_url": address,
        "board_url": f"{address}?view=board",
        "on_tables": shown == "tables",
        "on_board": shown == "board",
    }


def _family(principal: Principal, stream: StreamInfo) -> str:
    """Who stands at the top of the family that it was made in: the way from a state back to its agents."""
    if stream.root is None:
        return ""
    top = Stream.objects.filter(pk=stream.root, kind=Stream.Kind.ENTITY)
    return api.visible(principal, top).values_list("path", flat=True).first() or ""


def _tables(stream: StreamInfo) -> dict[str, Any]:
    specs = api.collections(stream.schema)
    found = {name: _rows_before(stream, spec, None) for name, spec in specs.items()}
    olds = tables.replaced(stream.id, [row for rows, _ in found.values() for row in rows])
    counts = api.count_rows(stream.id)
    address = reverse("shared_state:shared", args=[stream.path.removeprefix("shared:")])
    shown = []
    for name, spec in specs.items():
        rows, further = _rendered(stream, spec, *found[name], olds, PAGE // len(specs))
        table = tables.table_of(stream.id, spec, rows, counts.get(spec.type, 0))
        earlier = f"{address}?{urlencode({'part': 'earlier', 'of': name})}"
        shown.append(table.going_on(earlier, further))
    return {"tables": shown}


def _rows_before(
    stream: StreamInfo, spec: CollectionSpec, before: int | None
) -> tuple[list[api.Row], int | None]:
    """The newest rows of a collection before an offset, and before which one there are more."""
    found = api.window(stream.id, before, ROWS_PAGE + 1, [spec.type])
    rows = found[-ROWS_PAGE:]
    return rows, rows[0].created if len(found) > ROWS_PAGE else None


def _rendered(
    stream: StreamInfo,
    spec: CollectionSpec,
    rows: list[api.Row],
    further: int | None,
    olds: Mapping[int, Json],
    room: int = PAGE,
) -> tuple[list[tuple[api.Row, SafeString]], int | None]:
    """Those of some rows that there is room for, and before which one there are more."""
    found = tables.render_rows(stream.id, spec, rows, olds, room)
    return found, found[0][0].created if len(found) < len(rows) else further


def _earlier(request: HttpRequest, stream: StreamInfo) -> JsonResponse:
    """Rows of a collection before an offset, as changes to the page. Each collection goes on by itself."""
    text, name = request.GET.get("before", ""), request.GET.get("of", "")
    spec = api.collections(stream.schema).get(name)
    if spec is None:
        raise Http404(f"This shared state has no collection {name!r}.")
    rows, further = _rows_before(stream, spec, int(text) if text.isdecimal() else 0)
    found, further = _rendered(stream, spec, rows, further, tables.replaced(stream.id, rows))
    body = tables.body_id(stream.id, spec)
    puts = [
        Put(tables.row_id(stream.id, spec, row.key), body, f"{row.created:016d}", html) for row, html in found
    ]
    return JsonResponse({"changes": [put.wire() for put in puts], "before": further})


def _stream(principal: Principal, ident: str) -> StreamInfo:
    """A shared state that the principal may read; 404 for any other, and for what is not there."""
    try:
        stream = api.get_stream(f"shared:{ident}")
    except api.StreamNotFound:
        raise Http404(f"There is no shared state {ident!r}.") from None
    if not api.may(principal, "read", stream):
        raise Http404(f"There is no shared state {ident!r}.")
    return stream
