"""The offline model behind the test's Messages API: the same words, over the wire of the real provider.

Which script answers is not on the wire, so it is guessed from the tools, as a real model guesses its part.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import threading
from collections.abc import Mapping
from typing import Any

from entities.agent.messages import (
    Message,
    ModelRequest,
    Response,
    Text,
    Thinking,
    ToolAnswer,
    ToolCall,
    ToolSpec,
)
from entities.agent.model import StepDone
from entities.offline.provider import OfflineProvider
from entities.types.script import find_script
from tests.support.anthropic_replies import Reply
from tests.support.anthropic_server import Brain

SCRIPTS = ("entities.patterns.debate.offline", "entities.patterns.worker.offline")


def offline_brain(words_per_second: float = 0.0) -> Brain:
    """A brain that says what the offline model would, at its pace."""
    for script in SCRIPTS:
        importlib.import_module(script)

    def answer(body: Mapping[str, Any]) -> Reply:
        response = _in_a_thread(to_request(body))
        return Reply(response.blocks, pause=1 / words_per_second if words_per_second else 0.0, piece=6)

    return answer


def to_request(body: Mapping[str, Any]) -> ModelRequest:
    """The request that the provider under test was given, as far as the wire tells."""
    system = body.get("system") or ""
    if isinstance(system, list):
        system = "\n\n".join(block["text"] for block in system)
    messages = tuple(_message(each) for each in body["messages"])
    tools = tuple(
        ToolSpec(tool["name"], tool.get("description", ""), tool["input_schema"])
        for tool in body.get("tools", ())
    )
    names = {tool.name for tool in tools}
    script = "debate" if "end_debate" in names else "worker" if "write_arguments" in names else ""
    # The same conversation gives the same answer, also when a request is repeated after a fault.
    seed = hashlib.sha256(json.dumps([system, [str(each) for each in messages]]).encode()).hexdigest()
    return ModelRequest(
        model="offline",
        system=system,
        messages=messages,
        tools=tools,
        max_tokens=body["max_tokens"],
        thinking="high" if body.get("thinking", {}).get("display") == "summarized" else "off",
        seed=seed,
        script=script if find_script(script) else "",
    )


def _message(wire: Mapping[str, Any]) -> Message:
    content = wire["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return Message(wire["role"], tuple(filter(None, map(_block, blocks))))


def _block(wire: Mapping[str, Any]) -> Text | Thinking | ToolCall | ToolAnswer | None:
    match wire["type"]:
        case "text":
            return Text(wire["text"])
        case "tool_use":
            return ToolCall(wire["id"], wire["name"], wire["input"])
        case "tool_result":
            return ToolAnswer(wire["tool_use_id"], wire["content"], wire.get("is_error", False))
        case _:
            return None


def _in_a_thread(request: ModelRequest) -> Response:
    """Run the provider to its end; the server's own loop is busy serving."""
    found: list[Response] = []

    async def run() -> None:
        events = [event async for event in OfflineProvider().stream(request)]
        found.extend(event.response for event in events if isinstance(event, StepDone))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join()
    return found[0]
