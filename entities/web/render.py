"""Timeline items as HTML: one template for each kind of item, used by the page and by the push.

What an item says, by which mark and in which colour, is decided here; its template only says where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from django.urls import reverse
from django.utils.safestring import SafeString

from entities.catalog import timeline
from entities.catalog.timeline import Item, Node
from entities.web import addresses, streaming
from entities.web.words import dollars, finish_word, lasted, signal_word, tokens, tokens_in
from shared_state.html import pages
from shared_state.html.dom import dom_id
from shared_state.html.excerpt import CARD, LINE, LONG, MANY, TEXT, excerpt, first, piece
from shared_state.html.growing import Growing
from shared_state.html.partials import joined, partial
from shared_state.html.pretty import pretty
from shared_state.html.whole import Shown, Source, more, shown
from shared_state.templatetags.state import principal_name

LAZY_CHARACTERS = 4_000
"""Arguments and results that are longer are fetched when the reader opens the card."""
ARGUMENT_CHARACTERS = 160
"""How much of a call's main argument its card shows."""

Statuses = Mapping[str, str]
"""Address of an agent → its status, where the page knows it; a push leaves it to the presence feed."""


def render(
    item: Item, agent: str, inside: Mapping[str, SafeString] | None = None, statuses: Statuses | None = None
) -> SafeString:
    """The HTML of one item of an agent's timeline."""
    context = {
        "item": item.data,
        "id": item.id,
        "order": item.order,
        "raw": item.raw,
        "tool_url": addresses.address(agent, "agent-tool"),
        "inside": inside or {},
    }
    if prepare := _PREPARED.get(item.template):
        context |= prepare(item, statuses or {})
    return partial(f"entities/timeline/items/{item.template}.html", context)


def render_nodes(
    nodes: Iterable[Node],
    agent: str,
    statuses: Statuses | None = None,
    known: Mapping[str, SafeString] | None = None,
) -> SafeString:
    """The HTML of items with what lies in them. `known`: what is rendered already, by id."""
    found = []
    for node in nodes:
        inside = {name: render_nodes(each, agent, statuses, known) for name, each in node.inside.items()}
        html = None if inside or known is None else known.get(node.item.id)
        found.append(render(node.item, agent, inside, statuses) if html is None else html)
    return joined(found)


def tool_body(stream: int, value: Mapping[str, Any], raw: str = "") -> dict[str, Any]:
    """What the body of a tool card shows; the template gets the key of the call in `value`."""
    source = Source(stream, "tool_call", value["key"])
    return {
        "raw": piece(raw, 0),
        "raw_id": dom_id("toolraw", stream, value["key"]),
        "partial_args": value.get("args") is None,
        "has_result": value.get("result") is not None,
        "args": shown(pretty(value.get("args")), LONG, source, "args"),
        "result": shown(pretty(value.get("result")), LONG, source, "result"),
        "error": shown(value.get("error") or "", CARD, source, "error"),
    }


def size(tool_call: Mapping[str, Any]) -> int:
    """How many characters opening a tool card would show."""
    texts = (tool_call.get("result") or "", tool_call.get("error") or "")
    return sum(map(len, texts)) + len(orjson.dumps(tool_call.get("args"), default=str))


def wake_reason(value: Mapping[str, Any]) -> str:
    """Why an agent woke, in a few words.

    >>> wake_reason({"source": "/worker/x", "timeout": True})
    'nothing changed in worker/x for a while'
    """
    source = str(value.get("source", ""))
    name = source.removeprefix("shared:").removeprefix("/") if ":/" not in source else principal_name(source)
    if child := value.get("finished_child"):
        word = "finished" if child.get("run_status") == "completed" else "failed"
        return f"{child.get('url', '').removeprefix('/')} {word}"
    if value.get("timeout"):
        return f"nothing changed in {name} for a while"
    if changes := value.get("changes"):
        count = len(changes)
        return f"{count} change{'' if count == 1 else 's'} in {name}"
    if value.get("reason") == "manual":
        return f"by hand ({principal_name(source)})"
    return f"{value.get('reason', '')} from {name}".replace("_", " ").strip()


# -- what the templates are given


def _source_of(item: Item) -> Source:
    return Source(item.stream, item.data["event_type"], item.data["key"])


def _shown(item: Item, field: str, room: int) -> Shown:
    """A field of an item as text, as far as it is shown."""
    value = item.data.get(field)
    text = value if isinstance(value, str) else "" if value is None else pretty(value)
    return shown(text, room, _source_of(item), field)


def _css(*names: str, **marks: bool) -> str:
    """Classes: those that always apply, then those whose condition holds (`_` stands for a dash)."""
    return " ".join([*names, *(name.replace("_", "-") for name, holds in marks.items() if holds)])


def _message(item: Item, statuses: Statuses) -> dict[str, Any]:
    sender = str(item.data.get("from", ""))
    kind = "agent" if sender.startswith("agent:") else "person"
    is_text = isinstance(item.data.get("payload"), str)
    cancelled = item.data.get("status") == "cancelled"
    return {
        "payload": _shown(item, "payload", TEXT) if is_text else _shown(item, "payload", LONG),
        "css": _css("message", f"message-{kind}", message_cancelled=cancelled),
        "sender": principal_name(sender),
        "sender_url": pages.of(sender),
        "body": "json" if not is_text else "prose" if kind == "agent" else "plain",
    }


def _text(item: Item, statuses: Statuses) -> dict[str, Any]:
    if item.data.get("status") != "streaming":
        return {"streaming": False, "content": _shown(item, "content", TEXT)}
    said = Growing.of(piece(item.raw, 0))
    shown = streaming.tail_of(item.stream, item.data["key"], said.language, said.begin, said.tail)
    return shown | {"streaming": True, "whole": joined(map(SafeString, said.blocks))}


def _reasoning(item: Item, statuses: Statuses) -> dict[str, Any]:
    value = item.data
    withheld = bool(value.get("encrypted") and not value.get("content"))
    time, title = lasted(value), value.get("summary_title")
    thought = f"Thought for {time}" if time else "Thought"
    return {
        "form": "streaming" if value.get("status") == "streaming" else "withheld" if withheld else "shown",
        "thought": f"{thought}: {title}" if title and not withheld else thought,
        "raw_id": dom_id("reasoningraw", item.stream, value["key"]),
        "raw": piece(item.raw, 0),
        "content": _shown(item, "content", TEXT),
    }


RUN_PARTS = ("items", "end", "total", "steps", "foot")
"""What has an id of its own in a run."""


def _run(item: Item, statuses: Statuses) -> dict[str, Any]:
    key = item.data["key"]
    ids = {f"{part}_id": dom_id(f"run{part}", item.stream, key) for part in RUN_PARTS}
    return ids | {"foot": _foot(item.data)}


def _run_steps(item: Item, statuses: Statuses) -> dict[str, Any]:
    key = item.data["key"]
    return {f"{part}_id": dom_id(f"run{part}", item.stream, key) for part in ("total", "steps")}


def _run_foot(item: Item, statuses: Statuses) -> dict[str, Any]:
    return {"foot_id": item.id, "foot": _foot(item.data)}


def _foot(value: Mapping[str, Any]) -> dict[str, Any]:
    """How a run goes, or how it went: a mark, a word, and whether it was the offline model's."""
    status, reason = str(value.get("status", "")), str(value.get("finish_reason") or "")
    time, aborted = lasted(value), reason == "aborted"
    if status == "started":
        mark, words = "", "working"
    elif status == "failed":
        mark, words = ("■", "stopped") if aborted else ("✕", "failed")
        words += f": {finish_word(reason)}" if reason and not aborted else ""
        words += f" after {time}" if time else ""
    else:
        mark, words = "✓", f"done in {time}" if time else "done"
        words += f" ({finish_word(reason)})" if reason not in ("", "end_turn") else ""
    return {
        "css": _css("run-foot", f"run-{status}", run_aborted=aborted),
        "status": status,
        "mark": mark,
        "words": words,
        "running": status == "started",
        "since": value.get("started_at") or "",
        "offline": value.get("provider") == "offline",
    }


def _step(item: Item, statuses: Statuses) -> dict[str, Any]:
    value = item.data
    if value.get("status") == "started":
        facts = [("", "running")]
    else:
        cached, cost = value.get("cache_read_tokens"), value.get("cost_usd")
        facts = [("", lasted(value)), ("tokens in", f"{tokens(tokens_in(value))} in")]
        facts.append(("tokens out", f"{tokens(value.get('output_tokens'))} out"))
        facts += [("", f"{tokens(cached)} from cache")] if cached else []
        facts += [("", dollars(cost))] if cost else []
        facts.append(("", finish_word(value.get("finish_reason"))))
    totals = value.get("run_totals")
    return {
        "tokens_in": tokens_in(value),
        "totals": totals and {**totals, "tokens_in": tokens_in(totals)},
        "facts": [{"title": title, "text": text} for title, text in facts],
    }


def _tool(item: Item, statuses: Statuses) -> dict[str, Any]:
    value = item.data
    status, time = str(value.get("status", "")), lasted(value)
    words = {"completed": time, "failed": f"failed, {time}" if time else "failed", "started": "writing"}
    argument = timeline.main_argument(value.get("args"))
    cut = argument if len(argument) <= ARGUMENT_CHARACTERS else f"{argument[:ARGUMENT_CHARACTERS]}…"
    return tool_body(item.stream, value, item.raw) | {
        "argument": cut,
        "word": words.get(status, "running"),
        "word_css": "dots" if status == "started" else "",
        "running": status not in words,
        "lazy": size(value) > LAZY_CHARACTERS and value.get("args") is not None,
    }


def _error(item: Item, statuses: Statuses) -> dict[str, Any]:
    wanted = item.data.get("error_code") == "aborted"
    return {
        "css": _css("error", error_wanted=wanted),
        "role": "status" if wanted else "alert",
        "message": _shown(item, "message", CARD),
    }


def _stopped(item: Item, statuses: Statuses) -> dict[str, Any]:
    return {"reason": _shown(item, "reason", LINE)}


def _signal(item: Item, statuses: Statuses) -> dict[str, Any]:
    value = item.data
    before, after = value.get("previous_state"), value.get("new_state")
    outcome = value.get("outcome") or ("waiting" if value.get("status") == "unhandled" else "")
    words = f"by {principal_name(value.get('sender'))}"
    reason = _shown(item, "reason", LINE)
    words += f": {reason.text}" if reason.text else ""
    words += f" → {outcome}" if outcome else ""
    words += f" ({before} → {after})" if before and after and before != after else ""
    return {"word": signal_word(str(value.get("signal", ""))), "words": words, "more": reason.more}


def _child(item: Item, statuses: Statuses) -> dict[str, Any]:
    url = str(item.data.get("url", ""))
    return {"url": url, "title": url.removeprefix("/"), "status": statuses.get(url, "")}


def _source(item: Item, statuses: Statuses) -> dict[str, Any]:
    url = str(item.data.get("url", ""))
    if url.startswith("shared:"):
        return _link_to_shared("observes", url.removeprefix("shared:"))
    return {"word": "observes", "kind": "", "url": addresses.page(url), "name": url}


def _shared_state(item: Item, statuses: Statuses) -> dict[str, Any]:
    return _link_to_shared("made", str(item.data.get("id", "")))


def _link_to_shared(word: str, ident: str) -> dict[str, Any]:
    url = reverse("shared_state:shared", args=[ident])
    return {"word": word, "kind": "shared state", "url": url, "name": ident}


def _wake(item: Item, statuses: Statuses) -> dict[str, Any]:
    value = item.data
    changes, child, others = (
        value.get(name) or () for name in ("changes", "finished_child", "other_children")
    )
    source, child = _source_of(item), child or {}
    return {
        "reason": excerpt(wake_reason(value), LINE).text,
        "details": bool(changes or child or others),
        "child": child,
        "error": shown(child.get("error") or "", CARD, source),
        "response": shown(child.get("response") or "", TEXT, source),
        "changes": [
            {**change, "words": f"by {principal_name(change['by'])}" if change.get("by") else ""}
            for change in first(changes)
        ],
        "more_changes": more(len(changes[MANY:]), source, what="changes"),
        "others": [
            {"url": each.get("url", ""), "words": f"{each.get('status', '')}{',' if n < len(others) else ''}"}
            for n, each in enumerate(first(others), 1)
        ],
        "more_others": more(len(others[MANY:]), source, what="agents"),
        "more": value.get("more_children"),
    }


_PREPARED: dict[str, Callable[[Item, Statuses], dict[str, Any]]] = {
    "inbox": _message,
    "text": _text,
    "reasoning": _reasoning,
    "run": _run,
    "run_foot": _run_foot,
    "run_steps": _run_steps,
    "step": _step,
    "tool_call": _tool,
    "error": _error,
    "entity_stopped": _stopped,
    "signal": _signal,
    "manifest_child": _child,
    "manifest_source": _source,
    "manifest_shared_state": _shared_state,
    "wake": _wake,
}
