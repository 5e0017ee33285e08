"""Who dies before or after any commit leaves nothing lost, nothing doubled, and nothing by half."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Installation


@pytest.mark.parametrize(("scenario", "least"), [("debate", 80), ("joined", 9)])
def test_it_comes_out_the_same_wherever_it_is_killed(scenario: str, least: int, tmp_path: Path) -> None:
    """Every boundary of a debate of one round, about a minute on two cores; and of callers' transactions."""
    command = ["crashtest", "--scenario", scenario, "--rounds", "1", "--jobs", "2"]
    with Installation(tmp_path) as installation:
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
    assert boundaries > least
    assert tried > boundaries * 0.9
    assert divergences == 0
