"""Timeline items as HTML: one template for each kind of item, used by the page and by the push."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from entities.catalog.timeline import Item, Node
from shared_state.html.dom import dom_id
from shared_state.html.markdown import open_block
from shared_state.templatetags.state import agent_url, principal_name

LAZY_CHARACTERS = 4_000
"""Arguments and results that are longer are fetched when the reader opens the card."""

Statuses = Mapping[str, str]
"""Address of an agent → its status, where the page knows it; a push leaves it to the directory's feed."""


def draw(
    item: Item, agent: str, inside: Mapping[str, SafeString] | None = None, statuses: Statuses | None = None
) -> SafeString:
    """The HTML of one item of an agent's timeline."""
    context = {
        "item": item.data,
        "id": item.id,
        "order": item.order,
        "raw": item.raw,
        "agent": agent,
        "inside": inside or {},
    }
    if prepare := _PREPARED.get(item.template):
        context |= prepare(item, statuses or {})
    return render_to_string(f"entities/items/{item.template}.html", context)


def draw_nodes(nodes: Iterable[Node], agent: str, statuses: Statuses | None = None) -> SafeString:
    """The HTML of items with what lies in them."""
    drawn = []
    for node in nodes:
        inside = {name: draw_nodes(found, agent, statuses) for name, found in node.inside.items()}
        drawn.append(draw(node.item, agent, inside, statuses))
    return mark_safe("".join(drawn))  # noqa: S308  every part was rendered by a template


def _message(item: Item, statuses: Statuses) -> dict[str, Any]:
    sender = str(item.data.get("from", ""))
    return {
        "sender_kind": "agent" if sender.startswith("agent:") else "person",
        "sender_url": agent_url(sender),
        "is_text": isinstance(item.data.get("payload"), str),
    }


def _text(item: Item, statuses: Statuses) -> dict[str, Any]:
    block = open_block(item.raw)
    return {"whole": item.raw[: block.begin], "tail": item.raw[block.content :], "block": block}


def _run(item: Item, statuses: Statuses) -> dict[str, Any]:
    return {"foot_id": dom_id("runfoot", item.data["key"]), "steps_id": dom_id("runtotal", item.data["key"])}


def _tool(item: Item, statuses: Statuses) -> dict[str, Any]:
    return {"lazy": size(item.data) > LAZY_CHARACTERS and item.data.get("args") is not None}


def size(tool_call: Mapping[str, Any]) -> int:
    """How many characters opening a tool card would show."""
    texts = (tool_call.get("result") or "", tool_call.get("error") or "")
    return sum(map(len, texts)) + len(orjson.dumps(tool_call.get("args"), default=str))


def _child(item: Item, statuses: Statuses) -> dict[str, Any]:
    url = str(item.data.get("url", ""))
    return {"url": url, "title": url.removeprefix("/"), "status": statuses.get(url, "")}


def _source(item: Item, statuses: Statuses) -> dict[str, Any]:
    url = str(item.data.get("url", ""))
    return {"url": url, "shared": url.removeprefix("shared:") if url.startswith("shared:") else ""}


def _shared_state(item: Item, statuses: Statuses) -> dict[str, Any]:
    return {"shared_id": str(item.data.get("id", ""))}


def _wake(item: Item, statuses: Statuses) -> dict[str, Any]:
    value = item.data
    return {
        "wake": {
            "reason": wake_reason(value),
            "details": bool(
                value.get("changes") or value.get("finished_child") or value.get("other_children")
            ),
        }
    }


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


_PREPARED: dict[str, Callable[[Item, Statuses], dict[str, Any]]] = {
    "inbox": _message,
    "text": _text,
    "run": _run,
    "tool_call": _tool,
    "manifest_child": _child,
    "manifest_source": _source,
    "manifest_shared_state": _shared_state,
    "wake": _wake,
}
