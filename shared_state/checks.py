"""System checks: a fault in the settings is said at the start, with an id that stays.

shared_state.E001  SHARED_STATE is not a mapping
shared_state.E002  it has a key that is unknown
shared_state.E003  a value is of the wrong kind
shared_state.E004  a value must be more than zero
shared_state.E005  the database is neither SQLite nor PostgreSQL
shared_state.E006  SQLite's transactions would fail where they should wait
shared_state.E007  SQLite is too old
shared_state.E009  SHARED_STATE["DATABASE"] is no alias in DATABASES
shared_state.E010  no router sends a model to that database
shared_state.W008  (with --deploy) nothing carries hints between processes
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.db import connections, router

from shared_state.conf import conf
from shared_state.core import database

SQLITE = (3, 35)
"""The first that knows RETURNING."""
IN_MEMORY = "channels.layers.InMemoryChannelLayer"


def faults_of(app: str, name: str, found: object, *, may_be_zero: tuple[str, ...] = ()) -> list[CheckMessage]:
    """What is wrong with an app's mapping of settings, by its `Conf`: each property is a key."""
    given = getattr(settings, name, {})
    if not isinstance(given, Mapping):
        return [Error(f"{name} must be a mapping, not {given!r}.", id=f"{app}.E001")]
    known = [key.upper() for key, value in vars(type(found)).items() if isinstance(value, property)]
    messages: list[CheckMessage] = []
    for key in given:
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
            messages.append(Error(f"{name} has no key {key!r}.", hint=hint, id=f"{app}.E002"))
    for key in known:
        messages += _faults_of_value(app, name, found, key, key in may_be_zero)
    return messages


def _faults_of_value(app: str, name: str, found: object, key: str, may_be_zero: bool) -> list[CheckMessage]:
    try:
        value: Any = getattr(found, key.lower())
    except (TypeError, ValueError) as error:
        return [Error(f"{name}[{key!r}] is of the wrong kind: {error}.", id=f"{app}.E003")]
    if isinstance(value, int | float) and not (value > 0 or (may_be_zero and value == 0)):
        return [Error(f"{name}[{key!r}] must be more than zero, not {value}.", id=f"{app}.E004")]
    return []


@register
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """The mapping SHARED_STATE."""
    return faults_of("shared_state", "SHARED_STATE", conf)


@register
def check_database(**kwargs: Any) -> list[CheckMessage]:
    """Whether the database can do what the writer needs; it is not connected to."""
    if database.alias() not in connections:
        message = f"SHARED_STATE['DATABASE'] is {database.alias()!r}, which is not in DATABASES."
        return [Error(message, hint=f"There is {', '.join(connections)}.", id="shared_state.E009")]
    return [*_faults_of_vendor(), *_faults_of_routers()]


def _faults_of_routers() -> list[CheckMessage]:
    """Models that would be looked for elsewhere than units write them."""
    alias = database.alias()
    lost = [
        model._meta.label
        for config in apps.get_app_configs()
        if getattr(config, "beside_streams", False)
        for model in config.get_models()
        if {router.db_for_read(model), router.db_for_write(model)} != {alias}
    ]
    if not lost:
        return []
    message = f"Units write to the database {alias!r}, but {', '.join(lost)} is read or written elsewhere."
    hint = 'Put "shared_state.routers.StreamsRouter" first in DATABASE_ROUTERS.'
    return [Error(message, hint=hint, id="shared_state.E010")]


def _faults_of_vendor() -> list[CheckMessage]:
    connection = database.connection()
    if connection.vendor == "postgresql":
        return []
    if connection.vendor != "sqlite":
        message = f"{connection.vendor} is not supported; use SQLite or PostgreSQL."
        return [Error(message, id="shared_state.E005")]
    messages: list[CheckMessage] = []
    if str(connection.settings_dict["OPTIONS"].get("transaction_mode", "")).upper() != "IMMEDIATE":
        messages.append(
            Error(
                "SQLite needs transactions that take the write lock when they begin.",
                hint=f'Set DATABASES["{database.alias()}"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".',
                id="shared_state.E006",
            )
        )
    if sqlite3.sqlite_version_info < SQLITE:
        needed = ".".join(map(str, SQLITE))
        message = f"SQLite is {sqlite3.sqlite_version}; at least {needed} is needed."
        messages.append(Error(message, id="shared_state.E007"))
    return messages


@register(deploy=True)
def check_layer(**kwargs: Any) -> list[CheckMessage]:
    """PostgreSQL is for many processes, and those find out late without a layer between them."""
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get("default", {}).get("BACKEND", IN_MEMORY)
    if database.alias() not in connections or database.connection().vendor != "postgresql":
        return []  # said elsewhere, or one process
    if layer != IN_MEMORY:
        return []
    return [
        Caution(
            f"Without a channel layer, processes hear of each other's changes by polling only, every "
            f"{conf.poll_seconds:g} s.",
            hint="Set REDIS_URL, unless one process does everything.",
            id="shared_state.W008",
        )
    ]
