"""Daphne with the five things that it lacks for this site.

- Back-pressure: stock Daphne hands every message to Twisted, whose buffer for a stalled reader grows without
  bound. Here `await send()` returns only when the connection's buffer is below a bound, so that the hub's
  bounded queues see who is slow.
- Reaping: stock Daphne sweeps finished requests once a second; they pile up, and so do pauses for garbage
  collection. Here a finished request is forgotten at once.
- A lifespan: coroutines that run before the first connection is accepted and after the last was told to go.
- Sockets that are bound beforehand: a port in use is one clear sentence, and a restart loses no caller.
- Compressed frames for those who ask for them: see `deflate`.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

# The import installs Twisted's asyncio reactor, so it comes before every other import of Twisted.
import daphne.server
import structlog
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import ILogObserver, globalLogBeginner
from zope.interface import implementer

from agents_site.deflate import Accepting
from agents_site.request import BoundedHTTPFactory
from shared_state.core.collector import freeze_startup_objects

logger = structlog.get_logger(__name__)
reactor: Any = installed_reactor

Hook = Callable[[], Awaitable[None]]

# Bytes of a frame that reach the application. Above what a consumer accepts, so that a message that is too
# large gets an answer there and the socket lives on; below what would hurt.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
# How long the stop hook may take, then closing sockets, then cancelled requests, in seconds.
STOP_SECONDS = 1.4
PARTING_SECONDS = 0.2
CANCEL_SECONDS = 0.2
BACKLOG = 1024


class PortInUseError(OSError):
    """Somebody else listens on this address."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortInUseError with a sentence for the person at the terminal."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # A restart may take the address over from connections of the last process that still time out.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise PortInUseError(
            f"Cannot listen on {host} port {port}: {reason}. Another program may use it; stop that program, "
            f"or choose another port with --port, for example --port {port + 1} (make run PORT={port + 1})."
        ) from error
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def adopt(file_descriptor: int) -> socket.socket:
    """A socket that the parent process has bound already; it is made to listen if it does not yet."""
    listener = socket.socket(fileno=file_descriptor)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


@implementer(IPushProducer)
class Flow:
    """Whether one connection takes more data; Twisted tells it when its buffer is full, and empty again."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def pauseProducing(self) -> None:  # noqa: N802
        """Called by Twisted when the buffer has grown beyond its bound (64 kB)."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        """Called by Twisted when the buffer is empty."""
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802
        """Called by Twisted when the connection is lost: whoever waits must not wait for ever."""
        self._open.set()

    async def wait(self) -> None:
        """Return when the connection takes more data, or is gone."""
        await self._open.wait()


class Server(daphne.server.Server):
    """One process's web server. `run()` blocks until a signal, or `stop()`, ends it."""

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        *,
        on_start: Hook,
        on_stop: Hook,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(
            application,
            endpoints=["a socket bound beforehand"],  # Daphne insists on one; run() below never reads it.
            websocket_max_message_size=MAX_MESSAGE_BYTES,
            websocket_max_frame_size=MAX_MESSAGE_BYTES,
            server_name="",
        )
        self.listener = listener
        self.on_start = on_start
        self.on_stop = on_stop
        self.on_ready = on_ready
        self.failed = False
        self.connections: dict[Any, dict[str, Any]] = {}
        self._flows: dict[Any, Flow] = {}
        self._port: Any = None
        self._starting: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Serve until stopped. `failed` says afterwards whether the start hook raised."""
        self.http_factory = BoundedHTTPFactory(self)
        self.ws_factory = WebSocketFactory(self, server=self.server_name)
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            allowNullOrigin=True,  # The application decides which origins may connect (origin.py).
            openHandshakeTimeout=self.websocket_handshake_timeout,
            maxMessagePayloadSize=self.websocket_max_message_size,
            maxFramePayloadSize=self.websocket_max_frame_size,
            perMessageCompressionAccept=Accepting(self.websocket_max_message_size),
        )
        observers = [cast("ILogObserver", _drop)]
        globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False, discardBuffer=True)
        asyncio.set_event_loop(reactor._asyncioEventloop)
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        reactor.callWhenRunning(self._begin)
        reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromFuture(self._drain()))
        reactor.run(installSignalHandlers=self.signal_handlers)

    # -- Start and stop ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._starting = asyncio.get_event_loop().create_task(self._start())
        self._starting.add_done_callback(self._started)

    async def _start(self) -> None:
        """Run the start hook first: callers wait in the socket's backlog, nobody meets half a server."""
        await self.on_start()
        freeze_startup_objects()
        self._port = reactor.adoptStreamPort(self.listener.fileno(), self.listener.family, self.http_factory)
        self.on_ready()

    def _started(self, start: "asyncio.Task[None]") -> None:
        if not start.cancelled() and start.exception() is not None:
            logger.error("server.start_failed", exc_info=start.exception())
            self.failed = True
            self.stop()

    def _drain(self) -> "asyncio.Task[None]":
        return asyncio.get_event_loop().create_task(self._stop_everything())

    async def _stop_everything(self) -> None:
        """Accept nobody new, run the stop hook, then cancel what still runs; bounded in time."""
        if self._port is not None:
            self._port.stopListening()
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
        stopping = asyncio.ensure_future(self.on_stop())
        _, late = await asyncio.wait({stopping}, timeout=STOP_SECONDS)
        if late:
            logger.warning("server.stop_hook_late", seconds=STOP_SECONDS)
            stopping.cancel()
        elif stopping.exception() is not None:
            logger.error("server.stop_failed", exc_info=stopping.exception())
        await self._part()
        await self._cancel_applications()

    async def _part(self) -> None:
        """Let the sockets that the stop hook closed say goodbye: what is still in a buffer would be lost."""
        deadline = time.monotonic() + PARTING_SECONDS
        # Nothing tells us when the last handshake ends.
        while any(map(_closing, self.connections)) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def _cancel_applications(self) -> None:
        running = {details["application_instance"] for details in self.connections.values() if _runs(details)}
        for application in running:
            application.cancel()
        if running:
            await asyncio.wait(running, timeout=CANCEL_SECONDS)

    # -- Back-pressure -----------------------------------------------------------------------------------

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Send one ASGI message; return when the connection has room for another."""
        more = message["type"] == "http.response.body" and message.get("more_body", False)
        if more and protocol not in self._flows and protocol.channel is not None:
            self._flows[protocol] = flow = Flow()
            protocol.registerProducer(flow, True)
        elif message["type"] == "http.response.body" and not more and protocol in self._flows:
            # Twisted wants the producer gone before the response is finished.
            await self._flows.pop(protocol).wait()
            if protocol.channel is not None:
                protocol.unregisterProducer()
        await super().handle_reply(protocol, message)
        if message["type"] == "websocket.accept" and protocol.transport is not None:
            self._flows[protocol] = flow = Flow()
            # The HTTP channel that the socket was upgraded from still stands in this place.
            protocol.transport.unregisterProducer()
            protocol.transport.registerProducer(flow, True)
        if protocol in self._flows:
            await self._flows[protocol].wait()

    # -- Reaping -----------------------------------------------------------------------------------------

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Start the application for one request or socket, and notice when it ends."""
        queue = super().create_application(protocol, scope)
        application = self.connections.get(protocol, {}).get("application_instance")
        if application is not None:
            application.add_done_callback(partial(self._application_done, protocol))
        return queue

    def protocol_disconnected(self, protocol: Any) -> None:
        """Daphne's note that a client is gone. It comes twice for a request, the second time too late."""
        details = self.connections.get(protocol)
        if details is None:
            return
        super().protocol_disconnected(protocol)
        if isinstance(protocol, WebSocketProtocol) and "application_instance" not in details:
            self._forget(protocol)

    def _application_done(self, protocol: Any, application: "asyncio.Future[None]") -> None:
        details = self.connections.get(protocol)
        if details is None or details.pop("application_instance", None) is None:
            return
        error = None if application.cancelled() else application.exception()
        if error is not None:
            logger.error("server.application_failed", exc_info=error)
            if "disconnected" not in details:
                protocol.handle_exception(error)
        if "disconnected" in details:
            self._forget(protocol)

    def _forget(self, protocol: Any) -> None:
        self.connections.pop(protocol, None)
        self._flows.pop(protocol, None)


def _drop(event: Any) -> None:
    """Twisted's own log repeats what ours says."""


def _closing(protocol: Any) -> bool:
    return isinstance(protocol, WebSocketProtocol) and protocol.state == WebSocketProtocol.STATE_CLOSING


def _runs(details: dict[str, Any]) -> bool:
    application = details.get("application_instance")
    return application is not None and not application.done()


@contextlib.contextmanager
def listening(host: str, port: int, file_descriptor: int | None) -> Any:
    """The socket to serve on: bound now, or adopted from the parent; closed at the end."""
    listener = bind(host, port) if file_descriptor is None else adopt(file_descriptor)
    with contextlib.closing(listener):
        yield listener
