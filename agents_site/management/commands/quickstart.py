"""`manage.py quickstart`: everything in one process on this machine; what `make run` runs."""

import argparse
import getpass
import os
import re
import socket
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from agents_site import static_files
from agents_site.management.commands.serve import add_address_arguments, serve_until_stopped

if TYPE_CHECKING:
    from agents_site.server import Server

HOST = "127.0.0.1"
# How long running handlers may take to reach a point where they can be handed back, in seconds.
WORKER_GRACE = 1.0


class Command(BaseCommand):
    """Migrate, make a first user, serve and work, until Ctrl-C."""

    help = "Start the whole site on this machine: database, first user, web server and worker in one process."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_address_arguments(parser)
        parser.add_argument(
            "--no-local", action="store_true", help="ask people to sign in here too (needs SECRET_KEY)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        serve_until_stopped(whole_site, HOST, options["port"], options["fd"])
        self.stdout.write("Stopped.")


def whole_site(listener: socket.socket) -> "Server":
    """The web and a worker in this process, on an up-to-date database with a first user."""
    call_command("migrate", verbosity=0, interactive=False)
    username = ensure_first_user()
    if settings.COLLECTED:
        static_files.collect_if_changed()

    # The application looks at the static files when it is imported.
    from agents_site import lifespan, server
    from agents_site.asgi import application
    from entities.worker.worker import Worker

    worker = Worker()

    async def start() -> None:
        await lifespan.startup()
        await worker.start()

    async def stop() -> None:
        await worker.stop(grace=WORKER_GRACE)
        await lifespan.shutdown()

    def ready() -> None:
        print(welcome(f"http://{HOST}:{listener.getsockname()[1]}/", username), flush=True)

    return server.Server(application, listener, on_start=start, on_stop=stop, on_ready=ready)


def ensure_first_user() -> str:
    """The name of the oldest user; makes one, named after the person at this machine, if there is none."""
    users = get_user_model()._default_manager
    first = users.order_by("pk").first()
    if first is None:
        # No password: local mode needs none, and a guessable one would be worse than none.
        first = users.create_superuser(username=_own_name(), password=None)
    return str(first.get_username())


def _own_name() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # Containers run as numbers that no file gives a name.
        name = ""
    return name if re.fullmatch(r"[\w.@+-]{1,150}", name) else "you"


def welcome(address: str, username: str) -> str:
    """What the terminal says when the site is up."""
    if settings.LOCAL_MODE:
        access = f"A browser on this machine is signed in as {username}, without a password."
    else:
        access = f"Sign in as {username}; set the password with: manage.py changepassword {username}"
    if settings.PROVIDER == "anthropic":
        model = "Agents answer with Anthropic's models."
    else:
        model = "Agents answer with the offline model; set ANTHROPIC_API_KEY for a real one."
    stop = f"Ctrl-C stops it. It is process {os.getpid()}."
    return f"Agents Site is running at {address}\n{access}\n{model}\n{stop}"
