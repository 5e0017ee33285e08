"""What `manage.py migrate` leaves behind: tables, and the types that pages offer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
