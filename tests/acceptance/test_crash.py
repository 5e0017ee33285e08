"""Who dies before or after any commit leaves nothing lost, nothing doubled, and nothing by half."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Installation


def crashtest(installation: Installation, scenario: str) -> tuple[int, int]:
    """Run one scenario; nothing may differ, and the doctor may find nothing. Returns boundaries and tried."""
    command = ["crashtest", "--scenario", scenario, "--rounds", "1", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=installation.production,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) boundaries .*, (\d+) tried, (\d+) divergences", done.stdout)
    assert found is not None, done.stdout
    boundaries, tried, divergences = map(int, found.groups())
    assert divergences == 0
    return boundaries, tried


@pytest.mark.parametrize(
    ("scenario", "least"),
    [("debate", 80), ("joined", 9), ("pruning", 14), ("staging", 20), ("stopping", 20)],
)
def test_it_comes_out_the_same_wherever_it_is_killed(scenario: str, least: int, tmp_path: Path) -> None:
    """Every boundary of a debate of one round, about a minute on two cores; and of shorter stories."""
    with Installation(tmp_path) as installation:
        boundaries, tried = crashtest(installation, scenario)

    assert boundaries > least
    assert tried > boundaries * 0.9


@pytest.mark.parametrize(
    ("scenario", "least"), [("joined", 9), ("pruning", 14), ("staging", 20), ("stopping", 20)]
)
def test_so_it_does_on_postgresql(scenario: str, least: int, tmp_path: Path, postgres_url: str) -> None:
    with Installation(tmp_path, database_url=postgres_url) as installation:
        boundaries, tried = crashtest(installation, scenario)

    assert boundaries > least
    assert tried > boundaries * 0.9
