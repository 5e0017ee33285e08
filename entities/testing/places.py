"""Where a crash test keeps its databases: files in folders, or databases of the PostgreSQL it is given.

A place is a folder; a database of PostgreSQL is named after it. No connection is left open here, since the
processes that use a place are forked from the one that makes it.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from entities.conf import DEFAULT, OFFLINE
from shared_state.api import database

ATTEMPTS = 50
"""How often a copy is tried while the server is still ending the sessions of whoever used the original."""
PAUSE_SECONDS = 0.1

SQLITE: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "OPTIONS": {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
    },
}


def aliases() -> list[str]:
    """The databases that agents need: theirs, and the default one, which holds users."""
    return sorted({"default", database.alias()})


def make(place: Path) -> None:
    """An empty place."""
    place.mkdir()
    for alias in _on_postgres():
        _administer(alias, f'CREATE DATABASE "{_name(place, alias)}"')


def copy(source: Path, place: Path) -> None:
    """A place that holds what another does."""
    shutil.copytree(source, place)
    for alias in _on_postgres():
        original = _name(source, alias)
        _administer(alias, f'CREATE DATABASE "{_name(place, alias)}" TEMPLATE "{original}"', quiet=original)


def remove(place: Path) -> None:
    """Forget a place."""
    shutil.rmtree(place)
    for alias in _on_postgres():
        _administer(alias, f'DROP DATABASE IF EXISTS "{_name(place, alias)}" WITH (FORCE)')


def settle_in(place: Path) -> None:
    """Make the settings of this process those of a small installation in a place."""
    for known in connections.all(initialized_only=True):
        del connections[known.alias]
    for alias in aliases():
        if alias in _on_postgres():
            connections.settings[alias]["NAME"] = _name(place, alias)
        else:
            connections.settings[alias] |= {**SQLITE, "NAME": str(place / f"{alias}.sqlite3")}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.ENTITIES = {
        **settings.ENTITIES,
        "PROVIDERS": {DEFAULT: {"BACKEND": OFFLINE, "OPTIONS": {"words_per_second": 0}}},
        "DELTAS_PER_SECOND": 1000,
        "WORKER_LOCK_DIR": str(place / "workers"),
    }


def _on_postgres() -> list[str]:
    return [alias for alias in aliases() if connections.settings[alias]["ENGINE"].endswith("postgresql")]


def _name(place: Path, alias: str) -> str:
    return re.sub(r"\W+", "_", "_".join((*place.parts[-3:], alias)).lower())[-63:]


@contextmanager
def _server(alias: str) -> Iterator[Any]:
    import psycopg

    given = connections.settings[alias]
    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "dbname"}
    options = {ours: given[theirs] for theirs, ours in names.items() if given.get(theirs)}
    with psycopg.connect(**options, autocommit=True) as connection:
        yield connection


def _administer(alias: str, statement: str, quiet: str = "") -> None:
    """Say something to the server. `quiet`: a database that nobody may be using for it."""
    from psycopg.errors import ObjectInUse

    with _server(alias) as connection:
        for left in reversed(range(ATTEMPTS)):
            if quiet:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [quiet]
                )
            try:
                connection.execute(statement)
            except ObjectInUse:
                if not left:
                    raise
                time.sleep(PAUSE_SECONDS)
            else:
                return
