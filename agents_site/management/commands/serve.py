"""`manage.py serve`: the web server alone. Workers run in processes of their own (`manage.py run_worker`)."""

import argparse
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

if TYPE_CHECKING:
    from agents_site.server import Server


class Command(BaseCommand):
    """Serve pages and websockets with Daphne, with back-pressure and a clean stop."""

    help = "Serve the site (web only). Run workers beside it: manage.py run_worker."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_address_arguments(parser)
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")

    def handle(self, *args: Any, **options: Any) -> None:
        serve_until_stopped(web_server, options["host"], options["port"], options["fd"])


def add_address_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every serving command shares."""
    parser.add_argument(
        "--port", type=int, default=8000, help="the port to listen on (8000; 0: any free one)"
    )
    parser.add_argument("--fd", type=int, help="a socket that the parent process has bound; replaces --port")


def serve_until_stopped(
    make: "Callable[[socket.socket], Server]", host: str, port: int, file_descriptor: int | None
) -> None:
    """Take the address, make the server for it, run it. Raises CommandError with a sentence for a person.

    The address comes first: to migrate and to load everything, and then to fail, would look like success.
    """
    # Twisted's reactor starts with this import, which no other command needs.
    from agents_site import server

    try:
        with server.listening(host, port, file_descriptor) as listener:
            web = make(listener)
            web.run()
    except (server.PortInUseError, ImproperlyConfigured) as error:
        raise CommandError(str(error)) from error
    if web.failed:
        raise CommandError("The server could not start; the reason is in the log above.")


def web_server(listener: socket.socket) -> "Server":
    """The web alone."""
    from agents_site import lifespan, server
    from agents_site.asgi import application

    address = "http://{}:{}/".format(*listener.getsockname()[:2])
    return server.Server(
        application,
        listener,
        on_start=lifespan.startup,
        on_stop=lifespan.shutdown,
        on_ready=lambda: print(f"Serving on {address}", flush=True),
    )
