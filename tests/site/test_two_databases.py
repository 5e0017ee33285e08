"""Streams may be in a database of their own: users, sessions and a project's tables in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.apps import apps
from django.core.checks import run_checks
from pytest_django import Settings

from tests.support.processes import ROOT, SECRET_KEY

OURS = ("shared_state", "entities")


@pytest.fixture(scope="module")
def came_of_it(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    environment = {
        "PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "tests.support.two_databases",
        "SECRET_KEY": SECRET_KEY, "AGENTS_VAR_DIR": str(tmp_path_factory.mktemp("two")),
        "AGENTS_LOG_LEVEL": "ERROR", "AGENTS_OFFLINE_WORDS_PER_SECOND": "0", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.site.two_databases"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_people_and_streams_stay_apart(came_of_it: dict[str, dict[str, int]]) -> None:
    ours = {
        alias: {name for name in came_of_it[alias] if name.startswith(OURS)}
        for alias in ("default", "streams")
    }

    assert ours["default"] == set()
    assert {"shared_state_stream", "shared_state_eventrecord", "entities_entity"} <= ours["streams"]
    assert came_of_it["default"]["auth_user"] == 1
    assert "auth_user" not in came_of_it["streams"]


def test_a_chat_works_across_them(came_of_it: dict[str, object]) -> None:
    assert came_of_it["statuses"] == [200, 302, 200]
    assert came_of_it["said"] == ["hello", "and again"]
    assert came_of_it["answers"] == 2


def test_pages_are_told_and_offer_the_types(came_of_it: dict[str, object]) -> None:
    assert (came_of_it["following"], came_of_it["told"]) == ("following", "presence:user:ada")
    assert came_of_it["types"]


def test_no_key_leaves_the_database() -> None:
    """No foreign key of ours refers to a table that may be elsewhere, users above all."""
    strangers = [
        f"{field} to {field.related_model._meta.label}"
        for label in OURS
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.get_fields()
        if field.related_model is not None and field.related_model._meta.app_label not in OURS
    ]

    assert strangers == []


def test_a_setting_without_a_router_is_a_fault(settings: Settings) -> None:
    settings.SHARED_STATE = {"DATABASE": "default"}
    assert "shared_state.E010" not in ids()
    settings.DATABASE_ROUTERS = ["tests.site.test_two_databases.Astray"]

    assert "shared_state.E010" in ids()


def test_a_database_that_is_not_there_is_a_fault(settings: Settings) -> None:
    settings.SHARED_STATE = {"DATABASE": "nowhere"}

    assert ids() & {"shared_state.E009", "shared_state.E010"} == {"shared_state.E009"}


class Astray:
    """Sends everything elsewhere."""

    def db_for_read(self, model: object, **hints: object) -> str:
        return "elsewhere"


def ids() -> set[str]:
    return {message.id or "" for message in run_checks()}
