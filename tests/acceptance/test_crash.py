"""A worker that dies before or after any commit of a debate leaves nothing lost and nothing doubled."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT, Installation


def test_a_debate_comes_out_the_same_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    """Every boundary of a debate of one round: about a minute on two cores."""
    with Installation(tmp_path) as installation:
        done = subprocess.run(
            [sys.executable, "manage.py", "crashtest", "--rounds", "1", "--jobs", "2"],
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
    assert boundaries > 80
    assert tried > boundaries * 0.9
    assert divergences == 0
