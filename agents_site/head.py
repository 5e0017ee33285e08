"""HEAD works wherever GET does: the application answers it like GET, and the body ends here.

Views and the API are written for GET alone. Servers leave the body out by themselves, but ASGI does not ask
that of them; so nothing depends on which one it is.
"""

from typing import Any


def with_head(application: Any) -> Any:
    """The same ASGI application for HTTP; an answer to HEAD has the headers of GET's and no body."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def send_without_body(message: Any) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await application(scope, receive, send_without_body if scope["method"] == "HEAD" else send)

    return wrapped
