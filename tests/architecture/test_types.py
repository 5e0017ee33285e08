"""What users write is typed: mypy strict accepts the documents' examples, and knows the rows of a `State`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

PAGES = (
    "README.md", "docs/tutorial.md", "docs/how-to/share-state.md", "docs/how-to/write-tools.md",
    "docs/how-to/test-your-agents.md",
)  # fmt: skip

SNIPPET = """
from pydantic import BaseModel

from entities.api import Collection, HandlerContext, State, WakeEvent, db, entity, registry


class Item(BaseModel):
    key: str


class TrackerState(State):
    items = Collection(Item)


@registry.define("tracker", state=TrackerState)
async def tracker(ctx: HandlerContext[TrackerState], wake: WakeEvent) -> None:
    reveal_type(await ctx.state.items.get("a"))
    reveal_type(await ctx.state.items.all())
    reveal_type(await ctx.state.items.insert(key="a"))
    reveal_type(await ctx.state.items.row("a"))
    reveal_type(await ctx.observe(entity("/a/b")))
    shared = await ctx.observe(db("d"))
    reveal_type(shared)
    reveal_type(await shared.things.get("a"))
    reveal_type(shared.typed(TrackerState).items)
    ctx.use_agent("You track.", temperature=1)
    (await ctx.state.items.insert(key="a")).nothing
"""
REVEALED = [
    "Item | None", "list[Item]", "Item", "StateRow | None", "EntityHandle", "SharedState", "StateRow | None",
    "StateCollection[Item]",
]  # fmt: skip


def checked(folder: Path, *files: Path) -> str:
    """What mypy says of files, with the project's own settings."""
    command = [
        sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary",
        "--cache-dir", str(ROOT / ".mypy_cache"), *map(str, files),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of all of them at once: it takes seconds to start."""
    folder = tmp_path_factory.mktemp("typed")
    for page in PAGES:
        for number, source in enumerate(
            re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
        ):
            name = re.sub(r"\W", "_", page)
            (folder / f"{name}_{number}.py").write_text(source)
    (folder / "snippet.py").write_text(SNIPPET)
    return checked(folder, *sorted(folder.glob("*.py")))


def test_mypy_strict_accepts_every_example(said: str) -> None:
    assert [line for line in said.splitlines() if "snippet.py" not in line] == []


def test_rows_have_the_type_of_their_model(said: str) -> None:
    revealed = [
        re.sub(r"[\w.]+\.(\w+)", r"\1", found) for found in re.findall(r'Revealed type is "(.*)"', said)
    ]

    assert revealed == REVEALED


def test_what_is_not_there_is_an_error(said: str) -> None:
    errors = [line for line in said.splitlines() if "snippet.py" in line and ": error:" in line]

    assert len(errors) == 2
    assert "temperature" in errors[0]
    assert '"Item" has no attribute "nothing"' in errors[1]
