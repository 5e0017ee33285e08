"""Who may import whom, whether each contract would notice, and whether models and migrations agree."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.support.processes import ROOT

SEEDS = {
    "The site knows both apps; entities know shared_state; shared_state knows nobody": (
        "shared_state/core/types.py", "import entities.conf",
    ),
    "Rooms of shared_state": ("shared_state/core/access.py", "import shared_state.log.stream"),
    "Rooms of entities": ("entities/wakes/wake.py", "import entities.lifecycle.inbox"),
    "Layers of the agent loop": ("entities/agent/messages.py", "import entities.agent.recorder"),
    "Entities reach the store through shared_state.api alone": (
        "entities/context/session.py", "import shared_state.write.writer",
    ),
    "The web process cannot run a handler or call a model": (
        "entities/web/queries.py", "import entities.agent.loop",
    ),
    "The offline model is a provider like any other: reached by the setting alone": (
        "entities/agent/loop.py", "import entities.offline.provider",
    ),
    "The types that ship are written as users write theirs: on entities.api alone": (
        "entities/patterns/worker/type.py", "import entities.toolbox.basic",
    ),
    "Event catalogue, its folds and message types are plain Python": (
        "entities/catalog/log.py", "import django.utils.timezone",
    ),
    "HTML is made in html and web alone": ("shared_state/live/hub.py", "import shared_state.html.markdown"),
    "Channels is known only to notify, live, routing and the site": (
        "shared_state/write/batch.py", "import channels.layers",
    ),
    "No package has cycles between its children": (
        "shared_state/live/send_queue.py", "import shared_state.live.hub",
    ),
}  # fmt: skip
"""For each contract a module, and a line that it must not hold."""


def lint(folder: Path) -> str:
    """What the import linter says of a tree."""
    command = "from importlinter.cli import lint_imports; lint_imports(no_logo=True, no_cache=True)"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


def verdicts(said: str) -> dict[str, str]:
    """KEPT or BROKEN by the name of the contract; long names come in two lines."""
    text = re.sub(r"\s+", " ", said.partition("-----\n\n")[2].partition("Contracts:")[0])
    return {
        name: verdict for name in SEEDS for verdict in re.findall(rf"{re.escape(name)} (KEPT|BROKEN)", text)
    }


def test_every_contract_has_a_seed() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert {contract["name"] for contract in known} == set(SEEDS)


def test_every_import_contract_is_kept() -> None:
    assert verdicts(lint(ROOT)) == dict.fromkeys(SEEDS, "KEPT")


def test_every_contract_notices_what_it_forbids(tmp_path: Path) -> None:
    for name in ("agents_site", "entities", "shared_state", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for place, line in SEEDS.values():
        module = tmp_path / place
        module.write_text(f"{module.read_text()}\n\n{line}\n")

    assert verdicts(lint(tmp_path)) == dict.fromkeys(SEEDS, "BROKEN")


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
