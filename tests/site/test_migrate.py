"""What `manage.py migrate` leaves behind: tables, and the types that pages offer."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, SECRET_KEY

LOOK = """
import django
django.setup()
from django.contrib.auth.models import User
from django.test import Client
ada = Client()
ada.force_login(User.objects.create_user("ada"))
for path in ("/agents/new/", "/agents/new/debate/"):
    print(ada.get(path, headers={"host": "localhost"}).content.decode())
"""
OLD = {"arguments": {"type": "shared:argument", "view": {"kind": "board"}}}
NEW = {"arguments": {"type": "shared:argument", "board": {"kind": "board"}}}


def run(folder: Path, *command: str) -> str:
    """A command of an installation of its own, which never had a worker."""
    environment = {
        "PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "agents_site.settings",
        "SECRET_KEY": SECRET_KEY, "AGENTS_VAR_DIR": str(folder), "AGENTS_LOG_LEVEL": "ERROR", "DEBUG": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_web_process_alone_offers_the_types(tmp_path: Path) -> None:
    run(tmp_path, "manage.py", "migrate", "--verbosity", "0")

    page = run(tmp_path, "-c", LOOK)

    assert "/agents/new/assistant/" in page
    assert "/agents/new/debate/" in page
    assert 'name="message"' in page


def test_migrating_back_and_half_way_is_no_fault(tmp_path: Path) -> None:
    run(tmp_path, "manage.py", "migrate", "shared_state", "--verbosity", "0")
    run(tmp_path, "manage.py", "migrate", "--verbosity", "0")
    run(tmp_path, "manage.py", "migrate", "entities", "zero", "--verbosity", "0")
    run(tmp_path, "manage.py", "migrate", "--verbosity", "0")

    assert "/agents/new/debate/" in run(tmp_path, "-c", LOOK)


def test_lists_and_boards_of_older_names_go_on_under_the_new(tmp_path: Path) -> None:
    run(tmp_path, "manage.py", "migrate", "entities", "0001", "--verbosity", "0")
    run(tmp_path, "manage.py", "migrate", "shared_state", "0002", "--verbosity", "0")
    with sqlite3.connect(tmp_path / "db.sqlite3") as database:
        for path, kind, schema in (
            ("directory:user:ada", "directory", {}),
            ("shared:directory:x", "shared", OLD),
        ):
            database.execute(
                "INSERT INTO shared_state_stream "
                "(path, kind, owner, head, epoch, observed, closed, schema, created_at) "
                "VALUES (?, ?, 'user:ada', 0, 0, 0, 0, ?, '2026-01-01')",
                (path, kind, json.dumps(schema)),
            )

    run(tmp_path, "manage.py", "migrate", "--verbosity", "0")
    assert streams(tmp_path) == [("presence:user:ada", "presence", {}), ("shared:directory:x", "shared", NEW)]

    run(tmp_path, "manage.py", "migrate", "entities", "0001", "--verbosity", "0")
    run(tmp_path, "manage.py", "migrate", "shared_state", "0002", "--verbosity", "0")
    assert streams(tmp_path) == [
        ("directory:user:ada", "directory", {}),
        ("shared:directory:x", "shared", OLD),
    ]


def streams(folder: Path) -> list[tuple[str, str, Any]]:
    with sqlite3.connect(folder / "db.sqlite3") as database:
        found = database.execute("SELECT path, kind, schema FROM shared_state_stream ORDER BY path")
        return [(path, kind, json.loads(schema)) for path, kind, schema in found]
