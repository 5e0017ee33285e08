"""What runs beside the requests: started before the first one, stopped after the last.

Uvicorn says when through ASGI's lifespan messages; Daphne has none, so server.py calls the same two functions
through the reactor. Django and Channels refuse lifespan scopes, hence the wrapper.
"""

from typing import Any

import structlog

from shared_state.live import session

logger = structlog.get_logger(__name__)


async def startup() -> None:
    """Start the live hub of this process."""
    await session.start()


async def shutdown() -> None:
    """Stop the live hub; sockets that are still open are told to come back."""
    await session.stop()


def with_lifespan(application: Any) -> Any:
    """The same ASGI application, able to answer a server's lifespan messages."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await application(scope, receive, send)

    return wrapped


async def _lifespan(receive: Any, send: Any) -> None:
    hooks = {"lifespan.startup": startup, "lifespan.shutdown": shutdown}
    while True:
        kind = (await receive())["type"]
        try:
            await hooks[kind]()
        except (RuntimeError, OSError, ValueError) as error:
            # The protocol's way to say "do not serve": the server prints the message and leaves.
            logger.error("lifespan.failed", phase=kind, error=str(error))
            await send({"type": f"{kind}.failed", "message": str(error)})
            return
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
