"""Agents: make one, send it a message or a signal."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agents_site.api.http import Answer, Call
from entities import api
from entities.web import addresses

Text = Field(default="", max_length=200, pattern=r"^[^\x00]*$")


class NewAgentBody(BaseModel):
    """What a new agent is made of."""

    model_config = ConfigDict(extra="forbid")

    args: dict[str, Any] | None = None
    message: Any = None
    title: str = Text


class MessageBody(BaseModel):
    """A message; with the same key it is delivered once, however often it is sent."""

    model_config = ConfigDict(extra="forbid")

    payload: Any
    key: str = Field(default="", max_length=64, pattern=r"^[^\x00]*$")
    type: str = Field(default="", max_length=100, pattern=r"^[^\x00]*$")


class SignalBody(BaseModel):
    """A lifecycle signal."""

    model_config = ConfigDict(extra="forbid")

    signal: str = Field(max_length=16)
    reason: str = Field(default="", max_length=500)


def url_of(call: Call) -> str:
    """The address that a request's path names, as entities are stored under it."""
    return f"/{call.path['type']}/{call.path['id']}"


async def put_agent(call: Call) -> Answer:
    """`PUT /api/agents/{type}/{id}`: make an agent that belongs to the caller."""
    body = call.parsed(NewAgentBody)
    wanted = api.NewEntity(
        call.path["type"], call.path["id"], args=body.args, message=body.message, title=body.title
    )
    made = await api.spawn(call.principal, wanted)
    value = {"url": made.url, "type": made.type, "id": made.slug, "title": made.title, "owner": made.owner}
    return Answer(value, 201, [(b"location", addresses.page(made.url).encode())])


async def post_message(call: Call) -> Answer:
    """`POST /api/agents/{type}/{id}/messages`: deliver a message; 200 if it was delivered before."""
    body = call.parsed(MessageBody)
    event = await api.deliver(
        call.principal, url_of(call), body.payload, key=body.key, message_type=body.type
    )
    return Answer({"event": event.wire()}, 200 if event.repeated else 201)


async def post_signal(call: Call) -> Answer:
    """`POST /api/agents/{type}/{id}/signals`: send a signal; the answer says what came of it."""
    body = call.parsed(SignalBody)
    outcome = await api.signal(call.principal, url_of(call), body.signal, reason=body.reason)
    return Answer({"signal": body.signal, "outcome": outcome})
