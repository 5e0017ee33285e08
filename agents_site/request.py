"""Daphne's request with a bounded body, and an end when its answer breaks off.

Stock Daphne spools a body of any size to disk, and then reads all of it into memory, before the application
is called. Here what is beyond the limit is read and thrown away, so that the sender hears the answer, and the
application is never called.
"""

from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest

from agents_site import bounds


class BoundedRequest(WebRequest):
    """A request that keeps no more of its body than the site takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.received = 0
        # Django reads forms. Twisted's own reading goes nowhere, and costs a tenth of a small request.
        super().__init__(*args, parsePOSTFormSubmission=False, **kwargs)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        """Called by Twisted with each piece of the body."""
        self.received += len(data)
        if self.received <= bounds.limit():
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Called by Twisted to have the request answered."""
        if self.received > bounds.limit():
            return self.basic_error(413, b"Content Too Large", bounds.too_large())
        return super().process()

    def handle_exception(self, exception: BaseException) -> None:
        """Called by Daphne when the application raised: a page that says so, or the end of the connection.

        Once an answer has begun, only a connection that breaks tells its reader that this is not all of it.
        """
        if not self._response_started:
            super().handle_exception(exception)
        elif self.channel is not None:
            self.channel.forceAbortClient()


class BoundedHTTPFactory(HTTPFactory):
    """Makes connections whose requests are bounded."""

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802  Twisted's name
        """Called by Twisted for each connection."""
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = BoundedRequest
        return protocol

    def log(self, request: Any) -> None:
        """Called by Twisted with each answer, for an access log that nobody reads: ours is in `log.py`."""
