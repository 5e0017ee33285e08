"""The websocket of the site's pages: feeds, and what people say and do to agents."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from entities import api
from entities.exceptions import EntitiesError
from shared_state.api import Json, SharedStateError
from shared_state.live import session
from shared_state.live.consumers import LiveConsumer


class Send(BaseModel):
    """`send`: a message to an agent. The client makes the key, so that sending again changes nothing."""

    ref: str = Field(max_length=64)
    to: str = Field(max_length=200)
    key: str = Field(min_length=8, max_length=64)
    payload: Any
    type: str | None = Field(default=None, max_length=100)


class Signal(BaseModel):
    """`signal`: a lifecycle signal to an agent."""

    ref: str = Field(max_length=64)
    to: str = Field(max_length=200)
    signal: str = Field(max_length=16)
    reason: str = Field(default="", max_length=500)


class AgentConsumer(LiveConsumer):
    """Adds `send` and `signal` to the feeds."""

    refusals: ClassVar[tuple[type[Exception], ...]] = (SharedStateError, EntitiesError)

    async def op_send(self, frame: Json) -> Json:
        """Deliver a message. It comes back to every viewer, its sender too, by the agent's feed."""
        sent = session.parse(Send, frame)
        await api.deliver(self.principal, sent.to, sent.payload, key=sent.key, message_type=sent.type or "")
        return {"op": "ok", "ref": sent.ref}

    async def op_signal(self, frame: Json) -> Json:
        sent = session.parse(Signal, frame)
        outcome = await api.signal(self.principal, sent.to, sent.signal, reason=sent.reason)
        return {"op": "ok", "ref": sent.ref, "outcome": outcome}
