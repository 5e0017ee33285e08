"""What a handler gets: `ctx`, split by concern, and the wake it handles."""

from entities.context.coordination import EntityHandle
from entities.context.handler import AgentConfig, AgentHandle, AgentResult, HandlerContext, Setup, WakeEvent
from entities.context.session import Scope, Session
from entities.context.state import Collection, Collections, SharedState, State, StateCollection

__all__ = [
    "AgentConfig",
    "AgentHandle",
    "AgentResult",
    "Collection",
    "Collections",
    "EntityHandle",
    "HandlerContext",
    "Scope",
    "Session",
    "Setup",
    "SharedState",
    "State",
    "StateCollection",
    "WakeEvent",
]
