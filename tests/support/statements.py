"""Every statement that SQLite is given, in any thread and however it is said, the hand-written ones too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from shared_state.write import writer


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements said meanwhile, in order. The writer's connection is made anew, so that it is heard."""
    said: list[str] = []

    def trace(connection: Any, **_: Any) -> None:
        connection.connection.set_trace_callback(said.append)

    writer.stop()
    connection_created.connect(trace)
    known = connections.all(initialized_only=True)
    for connection in known:
        connection.ensure_connection()
        trace(connection)
    said.clear()
    try:
        yield said
    finally:
        connection_created.disconnect(trace)
        for connection in known:
            if connection.connection is not None:
                connection.connection.set_trace_callback(None)
        writer.stop()
