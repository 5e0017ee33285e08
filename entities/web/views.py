"""Pages about agents. Who may see what is decided by `shared_state.core.access`, as everywhere."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entities import api
from entities.catalog.events import COLLECTIONS, LOG_ONLY
from entities.catalog.timeline import timeline_id
from entities.models import Entity, EntityType
from entities.web import live, queries
from entities.web.board_page import board_page
from entities.web.forms import ChatForm, NewAgentForm
from entities.web.render import tool_body
from entities.web.search import search
from shared_state.api import (
    Principal,
    count_rows,
    format_offset,
    how_many,
    may,
    principal_of,
    read,
    read_newest,
    row,
    visible,
    window,
)
from shared_state.html import excerpt, pages, tables, whole
from shared_state.html.dom import dom_id
from shared_state.html.foreign import on_behalf_of
from shared_state.html.partials import joined, partial
from shared_state.html.pretty import pretty
from shared_state.models import Stream
from shared_state.templatetags.state import principal_name

EVENTS_PAGE = 100
STATE_ROWS = 300
"""How many rows of each collection the page of an agent's state shows at the most, the newest."""
CHAT_TYPE = "assistant"
EXAMPLES = (
    "Debate: should cities ban private cars?",
    "Ask a worker to list what makes a good question",
    "What happens if I pull the plug?",
)
"""What the composer of the home page offers to somebody who does not know what to write."""

View = Callable[..., HttpResponse]


def agent_view(view: Callable[Concatenate[HttpRequest, Principal, Entity, ...], HttpResponse]) -> View:
    """A view of one agent: signed in, and the agent is there and may be read; else 404."""

    @login_required
    @wraps(view)
    def inner(request: HttpRequest, type: str, slug: str, **more: Any) -> HttpResponse:
        principal = principal_of(request.user)
        try:
            agent = api.get_entity(principal, f"/{type}/{slug}")
        except api.EntityNotFound as error:
            raise Http404(str(error)) from None
        with on_behalf_of(agent.stream):
            return view(request, principal, agent, **more)

    return inner


# -- many agents


@login_required
@require_safe
def agents(request: HttpRequest) -> HttpResponse:
    """The list of agents, as a tree or as the result of a search."""
    principal = principal_of(request.user)
    words = request.GET.get("q", "").strip()
    before = _whole(request.GET.get("before"))
    skipped = _whole(request.GET.get("from")) or 0
    listing = search(principal, words, skipped) if words else queries.families(principal, before)
    tree = live.render_found(listing.agents) if words else live.render_tree(listing.agents)
    form = ChatForm(initial={"key": _new_key()})
    context = _list_frame(listing, form) | {"tree": tree, "words": words}
    context["tree_id"] = "agents-found" if words else "agents-older" if before else "agents-tree"
    partial = request.headers.get("HX-Target") == "agents-region"
    return render(request, "entities/agents/region.html" if partial else "entities/agents/page.html", context)


@login_required
@require_safe
def statuses(request: HttpRequest) -> JsonResponse:
    """Agents as they are now, for a page whose news are overdue."""
    found = queries.statuses(principal_of(request.user), request.GET.getlist("url"))
    return JsonResponse({"agents": {agent["url"]: agent for agent in found}})


@login_required
@require_POST
def chat(request: HttpRequest) -> HttpResponse:
    """Make an assistant with a first message. The form's key is its id: sent twice, it is made once."""
    principal = principal_of(request.user)
    form = ChatForm(request.POST)
    if form.is_valid():
        slug, message = form.cleaned_data["key"], form.cleaned_data["message"]
        try:
            agent = api.spawn_now(principal, api.NewEntity(CHAT_TYPE, slug, message=message))
        except api.EntityExists:
            return redirect("entities:agent", CHAT_TYPE, slug)
        except api.EntitiesError as error:
            form.add_error("message", str(error))
        else:
            return redirect("entities:agent", agent.type, agent.slug)
    listing = queries.families(principal)
    context = _list_frame(listing, form) | {
        "tree": live.render_tree(listing.agents),
        "tree_id": "agents-tree",
    }
    return render(request, "entities/agents/page.html", context, status=400)


@login_required
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    """The types that a new agent can be of."""
    types = EntityType.objects.filter(hidden=False)
    return render(request, "entities/new/types.html", {"types": types, "section": "agents"})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_of_type(request: HttpRequest, type: str) -> HttpResponse:
    """The form for a new agent of a type, and its making."""
    principal = principal_of(request.user)
    found = EntityType.objects.filter(name=type, hidden=False).first()
    if found is None:
        raise Http404(f"There is no type {type!r}.")
    form = NewAgentForm(found, request.POST or None, initial={"id": _new_key()})
    if request.method == "POST" and form.is_valid():
        wanted = api.NewEntity(
            type, form.cleaned_data["id"], args=form.arguments, message=form.cleaned_data["message"] or None
        )
        try:
            agent = api.spawn_now(principal, wanted)
        except api.EntityExists as error:
            form.add_error("id", str(error))
        except api.EntitiesError as error:
            form.blame(str(error))
        else:
            return redirect("entities:agent", agent.type, agent.slug)
    context = {"type": found, "form": form, "section": "agents"}
    return render(request, "entities/new/form.html", context, status=400 if form.errors else 200)


# -- one agent


@require_http_methods(["GET", "HEAD", "POST"])
@agent_view
def agent(request: HttpRequest, principal: Principal, agent: Entity) -> HttpResponse:
    """The timeline. A message may be sent here without a script, too."""
    problem = _send(request, principal, agent) if request.method == "POST" else ""
    if request.method == "POST" and not problem:
        return redirect("entities:agent", agent.type, agent.slug)
    found = queries.newest(agent.stream_id)
    context = _frame(principal, agent, "timeline")
    known = context["family"].agents
    if context["family"].cut and (urls := queries.unknown(found, known)):
        known = [*known, *queries.statuses(principal, urls)]
    shown, before = queries.render_window(agent, found, known)
    context |= {
        "region_id": dom_id("timelineregion", agent.stream_id),
        "timeline_id": timeline_id(agent.stream_id),
        "earlier_url": reverse("entities:agent-earlier", args=[agent.type, agent.slug]),
        "before": before,
        "timeline": shown,
        "cursor": format_offset(agent.stream.head),
        "problem": problem,
    }
    return render(request, "entities/timeline/page.html", context, status=400 if problem else 200)


@require_safe
@agent_view
def family(request: HttpRequest, principal: Principal, agent: Entity) -> HttpResponse:
    """A family, page by page: where lists lead that do not hold all of it."""
    listing = queries.family(principal, agent, _whole(request.GET.get("after")) or 0)
    context = {"agent": agent, "listing": listing, "tree": live.render_tree(listing.agents)}
    context |= {"title": agent.title or agent.slug, "section": "agents"}
    return render(request, "entities/family/page.html", context)


@require_safe
@agent_view
def earlier(request: HttpRequest, principal: Principal, agent: Entity) -> HttpResponse:
    """Earlier rows of the timeline, as changes to the page."""
    before = _whole(request.GET.get("before")) or 0
    until = request.GET.get("until", "")
    puts, further = queries.earlier(agent, before, until)
    changes, missing = [put.wire() for put in puts], queries.lies_before(agent, until, further)
    return JsonResponse({"changes": changes, "before": further, "missing": missing})


@require_safe
@agent_view
def tool(request: HttpRequest, principal: Principal, agent: Entity) -> HttpResponse:
    """The body of a tool card, for one that is too long to be sent along."""
    found = row(agent.stream_id, "tool_call", request.GET.get("key", ""))
    if found is None:
        raise Http404("There is no such tool call.")
    body = tool_body(agent.stream_id, {**found.value, "key": found.key})
    return render(request, "entities/timeline/items/tool_body.html", body)


@require_safe
@agent_view
def state(request: HttpRequest, principal: Principal, agent: Entity) -> HttpResponse:
    """The agent's own collections as tables."""
    specs = live.state_specs(agent.url)
    cursor = format_offset(agent.stream.head)
    counts, shown = count_rows(agent.stream_id), []
    for spec in specs.values():
        found = window(agent.stream_id, None, STATE_ROWS, [spec.type])
        olds = tables.replaced(agent.stream_id, found)
        most = excerpt.PAGE // len(specs)
        rows = tables.render_rows(agent.stream_id, spec, found, olds, most)
        shown.append(tables.table_of(agent.stream_id, spec, rows, counts.get(spec.type, 0)))
    builtin = [
        {"name": name, "type": type, "count": how_many(counts[type])}
        for name, type in COLLECTIONS.items()
        if counts.get(type)
    ]
    context = _frame(principal, agent, "state") | {"tables": shown, "builtin": builtin, "cursor": cursor}
    context["region_id"] = dom_id("stateregion", agent.stream_id)
    return render(request, "entities/state/page.html", context)


@require_safe
@agent_view
def events(request: HttpRequest, principal: Principal, agent: Entity) -> HttpResponse:
    """The raw log, newest first."""
    cursor = format_offset(agent.stream.head)
    counts = count_rows(agent.stream_id)
    types = sorted({*counts, *LOG_ONLY})
    wanted = request.GET.get("type", "")
    chosen = [wanted] if wanted in types else None if wanted == "all" else sorted(set(types) - LOG_ONLY)
    found = read_newest(agent.stream_id, _whole(request.GET.get("before")), EVENTS_PAGE + 1, chosen)
    parts = [live.render_event(agent.url, event) for event in found[:EVENTS_PAGE]]
    if len(found) > EVENTS_PAGE:
        parts.append(_more_events(agent, wanted, found[EVENTS_PAGE - 1].offset))
    if request.headers.get("HX-Target", "").startswith("eventsmore-"):
        return HttpResponse(joined(parts))
    context = _frame(principal, agent, "events") | {
        "region_id": dom_id("eventsregion", agent.stream_id),
        "events_id": live.events_id(agent.stream_id),
        "events_url": reverse("entities:agent-events", args=[agent.type, agent.slug]),
        "events": joined(parts),
        "type": wanted,
        "options": _event_types(types, wanted),
        "cursor": cursor,
        "hidden": sorted(LOG_ONLY),
    }
    return render(request, "entities/events/page.html", context)


@require_safe
@agent_view
def event(request: HttpRequest, principal: Principal, agent: Entity, offset: int) -> HttpResponse:
    """What an event says. Not found at an offset that the log does not have."""
    found = read(agent.stream_id, offset - 1, 1)
    if not found or found[0].offset != offset:
        raise Http404("There is no such event.")
    source = whole.Source(agent.stream_id, offset=offset)
    body = whole.shown(pretty(found[0].wire()), excerpt.LONG, source)
    return render(request, "entities/events/body.html", {"body": body})


@require_safe
@agent_view
def board(request: HttpRequest, principal: Principal, agent: Entity, number: int) -> HttpResponse:
    """A board that the agent's type declares."""
    context = _frame(principal, agent, f"board-{number}")
    context["region_id"] = dom_id("boardregion", agent.stream_id, number)
    page = board_page(principal, agent, number)
    if page is None:
        raise Http404("This type of agent has no such board.")
    return render(request, "entities/board/page.html", context | {"page": page})


# -- parts


def _more_events(agent: Entity, type: str, before: int) -> SafeString:
    """The button that goes on from the oldest event of a page."""
    target = dom_id("eventsmore", agent.stream_id, before)
    return partial(
        "entities/events/more.html", {"id": target, "agent": agent, "type": type, "before": before}
    )


def _event_types(types: list[str], wanted: str) -> list[dict[str, Any]]:
    """What the raw log may be narrowed to."""
    choices = [("", "all but deltas"), ("all", "all"), *((each, each) for each in types)]
    return [{"value": value, "title": title, "chosen": value == wanted} for value, title in choices]


def _send(request: HttpRequest, principal: Principal, agent: Entity) -> str:
    """Deliver the form's message, or say why not."""
    try:
        api.deliver_now(
            principal,
            agent.url,
            request.POST.get("message", "").strip(),
            key=request.POST.get("key", "")[:200],
        )
    except (api.EntitiesError, api.AccessDenied) as error:
        return str(error)
    return ""


def _list_frame(listing: queries.Listing, form: ChatForm) -> dict[str, Any]:
    """What the list of agents shows around the tree."""
    return {"listing": listing, "chat": form, "examples": EXAMPLES, "section": "agents"}


def _frame(principal: Principal, agent: Entity, tab: str) -> dict[str, Any]:
    """What every page of an agent shows around its tab."""
    family = queries.family(principal, agent)
    root = agent.stream.root_id or agent.stream_id
    shared = visible(principal, queries.in_families([root], Stream.Kind.SHARED))
    me = next((each for each in family.agents if each["url"] == agent.url), None)
    return {
        "agent": agent,
        "title": agent.title or agent.slug,
        "owner": principal_name(agent.owner),
        "section": "agents",
        "me": me or {"url": agent.url, "status": agent.status},
        "tabs": _tabs(agent, tab),
        "facts": _facts(agent),
        "args": _arguments(agent),
        "family": family,
        "tree": live.render_tree(family.agents),
        "alone": len(family.agents) < 2,
        "alone_id": dom_id("alone", agent.url),
        "shared_ids": [path.removeprefix("shared:") for path in shared.values_list("path", flat=True)[:20]],
        "may_write": may(principal, "write", agent.stream),
        "may_signal": may(principal, "signal", agent.stream),
        "over": agent.state in (Entity.State.STOPPED, Entity.State.KILLED),
        "key": _new_key(),
    }


def _tabs(agent: Entity, shown: str) -> list[dict[str, Any]]:
    """The views of an agent: its boards first."""
    declared = EntityType.objects.filter(name=agent.type).values_list("boards", flat=True).first() or []
    boards = [hint for hint in declared if hint.get("kind") == "board"]
    place = [agent.type, agent.slug]
    found = [
        (f"board-{n}", hint.get("title") or "Board", reverse("entities:agent-board", args=[*place, n]))
        for n, hint in enumerate(boards)
    ]
    found.append(("timeline", "Timeline", reverse("entities:agent", args=place)))
    found.append(("state", "State", reverse("entities:agent-state", args=place)))
    found.append(("events", "Events", reverse("entities:agent-events", args=place)))
    return [{"title": title, "url": url, "current": name == shown} for name, title, url in found]


def _facts(agent: Entity) -> list[dict[str, str]]:
    """What stands beside an agent about it, with a link where there is one."""
    maker = agent.created_by
    return [
        {"name": "Type", "text": agent.type, "url": ""},
        {"name": "Owner", "text": principal_name(agent.owner), "url": ""},
        {"name": "Made by", "text": principal_name(maker), "url": pages.of(maker)},
    ]


def _arguments(agent: Entity) -> whole.Shown | None:
    """What it was made with; whole, that is the first row of its log."""
    source = whole.Source(agent.stream_id, "entity_created", "created")
    return whole.shown(pretty(agent.args), excerpt.LONG, source, "args") if agent.args else None


def _new_key() -> str:
    return uuid.uuid4().hex[:12]


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 17 else None
