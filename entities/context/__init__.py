"""What a handler gets: `ctx`, split by concern, and the wake it handles."""

from entities.context.handler import AgentConfig, AgentHandle, AgentResult, HandlerContext, Setup, WakeEvent
from entities.context.session import Scope, Session
from entities.context.state import Collections, SharedState, StateCollection

__all__ = [
    "AgentConfig",
    "AgentHandle",
    "AgentResult",
    "Collections",
    "HandlerContext",
    "Scope",
    "Session",
    "Setup",
    "SharedState",
    "StateCollection",
    "WakeEvent",
]
