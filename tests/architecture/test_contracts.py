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
    "The site knows both apps; entities know shared_state; shared_state knows nobody": {
        "shared_state/core/types.py": "import entities.conf",
        "entities/apps.py": "import agents_site.settings",
    },
    "Rooms of shared_state": {
        "shared_state/core/access.py": "import shared_state.log.stream",
        "shared_state/live/codecs.py": "import shared_state.html.dom",
    },
    "Rooms of entities": {
        "entities/wakes/wake.py": "import entities.lifecycle.inbox",
        "entities/catalog/log.py": "import entities.presence",
    },
    "Layers of the agent loop": {
        "entities/agent/messages.py": "import entities.agent.recorder",
        "entities/agent/model.py": "import entities.agent.loop",
    },
    "Entities use shared_state.api; of the rest, each room only what is named for it": {
        "entities/context/session.py": "import shared_state.write.writer",
        "entities/types/tool.py": "import shared_state.live.session",
        "entities/toolbox/basic.py": "import shared_state.models",
        "entities/schedules/timers.py": "import shared_state.models.stream",
        "entities/worker/runtime.py": "import shared_state.html.dom",
        "entities/lifecycle/inbox.py": "import shared_state.core.schema",
        "entities/web/views.py": "import shared_state.log.stream",
    },
    "The web process cannot run a handler or call a model": {
        "entities/web/queries.py": "import entities.agent.loop",
        "entities/api.py": "import entities.worker.worker",
        "shared_state/api.py": "import entities.patterns.debate.type",
    },
    "The offline model is a provider like any other: reached by the setting alone": {
        "entities/agent/loop.py": "import entities.offline.provider",
        "entities/admin.py": "import entities.offline.provider",
        "entities/agents.py": "import entities.offline.provider",
        "entities/management/commands/crashtest.py": "import entities.offline.provider",
        "entities/apps.py": "import entities.offline.provider",
        "agents_site/local.py": "import entities.offline.provider",
    },
    "The types that ship are written as users write theirs: on entities.api alone": {
        "entities/patterns/worker/type.py": "import entities.toolbox.basic",
        "entities/patterns/debate/type.py": "import shared_state.api",
        "entities/patterns/assistant/type.py": "import django.utils.timezone",
    },
    "Event catalogue, its folds and message types are plain Python": {
        "entities/catalog/log.py": "import django.utils.timezone",
        "entities/agent/messages.py": "import asgiref.sync",
        "shared_state/core/types.py": "import django.conf",
    },
    "HTML is made in html and web alone": {
        "shared_state/live/hub.py": "import shared_state.html.markdown",
        "entities/types/tool.py": "import entities.web.render",
        "entities/presence.py": "import shared_state.html.dom",
    },
    "Channels is known only to notify, live, routing and the site": {
        "shared_state/write/batch.py": "import channels.layers",
        "entities/toolbox/basic.py": "import channels.layers",
        "entities/presence.py": "import channels.layers",
        "entities/web/consumers.py": "import channels.consumer",
        "shared_state/urls.py": "import channels.routing",
    },
    "No package has cycles between its children": {
        "shared_state/live/send_queue.py": "import shared_state.live.hub",
        "agents_site/env.py": "import agents_site.settings",
        "entities/catalog/sanitize.py": "import entities.catalog.events",
    },
}
"""For each contract modules, and for each a line that it must not hold."""


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


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, to be seeded with faults and mended again."""
    folder = tmp_path_factory.mktemp("copied")
    for name in ("agents_site", "entities", "shared_state", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, lines in SEEDS.items() for place in lines]
)
def test_every_contract_notices_what_it_forbids(copied: Path, name: str, place: str) -> None:
    """One fault at a time, so that none hides behind another."""
    module = copied / place
    sound = module.read_text()
    module.write_text(f"{sound}\n\n{SEEDS[name][place]}\n")
    try:
        assert verdicts(lint(copied))[name] == "BROKEN"
    finally:
        module.write_text(sound)


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
