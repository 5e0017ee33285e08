"""A type that ships is copied whole: the copy, under another name, uses its own files and not ours."""

import importlib
import re
import shutil
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entities import patterns
from entities.agent.messages import ModelRequest
from entities.agent.model import ModelEvent
from entities.offline.provider import OfflineProvider
from entities.testing import runtime
from entities.types.registry import Registry

PATTERNS = Path(patterns.__path__[0])
FOLDERS = sorted(each.name for each in PATTERNS.iterdir() if (each / "type.py").exists())

Copier = Callable[..., None]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, types: Registry) -> Iterator[Copier]:
    """Copy a pattern as `my_<name>`, with words of its prompts and board exchanged, and import it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(name: str, **changes: tuple[str, str]) -> None:
        folder = tmp_path / f"copied_{name}"
        shutil.copytree(PATTERNS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
        _rename(folder / "type.py", name)
        _rename(folder / "offline.py", name)
        for module, (ours, theirs) in changes.items():
            source = (folder / f"{module}.py").read_text()
            assert ours in source
            (folder / f"{module}.py").write_text(source.replace(ours, theirs))
        for path in sorted(folder.glob("*.py")):
            importlib.import_module(f"copied_{name}.{path.stem}")

    yield made
    for module in [each for each in sys.modules if each.startswith("copied_")]:
        del sys.modules[module]


def _rename(path: Path, name: str) -> None:
    if path.exists():
        names = rf'(registry\.define\(\s*|offline_script\()"{name}"'
        path.write_text(re.sub(names, rf'\1"my_{name}"', path.read_text()))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ModelRequest]:
    """What the offline model was asked."""
    requests: list[ModelRequest] = []
    stream = OfflineProvider.stream

    def recorded(self: OfflineProvider, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        requests.append(request)
        return stream(self, request)

    monkeypatch.setattr(OfflineProvider, "stream", recorded)
    return requests


async def test_a_copied_assistant_has_its_own_prompt(copy: Copier, asked: list[ModelRequest]) -> None:
    copy("assistant", prompts=("You are a helpful assistant", "You are a butler"))
    await runtime.spawn("my_assistant", message="Hello")
    await runtime.handle_all()

    assert asked[0].system.startswith("You are a butler")


async def test_a_copied_worker_has_its_own_prompt(copy: Copier, asked: list[ModelRequest]) -> None:
    copy("worker", prompts=("in a few sentences", "in one line"))
    args: dict[str, Any] = {"system_prompt": "You count.", "tools": ["now"]}
    await runtime.spawn("my_worker", args=args, message="Count.")
    await runtime.handle_all()

    assert "report back in one line" in asked[0].system


async def test_a_copied_debate_has_its_own_prompts_board_and_script(
    copy: Copier, asked: list[ModelRequest], types: Registry
) -> None:
    copy(
        "debate",
        prompts=("You are a debater", "You are a barrister"),
        board=('"title": "Debate"', '"title": "Trial"'),
        offline=("I will open the debate", "I will open the trial"),
    )
    url = await runtime.spawn("my_debate", message="Debate: is tea better than coffee?")
    await runtime.handle_all()

    assert types.get("my_debate").boards[0]["title"] == "Trial"
    assert types.get("debate").boards[0]["title"] == "Debate"
    assert (await runtime.texts(url))[0].startswith("I will open the trial")
    debaters = [each.system for each in asked if any(tool.name == "write_arguments" for tool in each.tools)]
    assert debaters
    assert all(each.startswith("You are a barrister") for each in debaters)
    assert (await runtime.values(url, "state:status"))[0]["value"] == "done"


@pytest.mark.parametrize("name", FOLDERS)
def test_no_module_of_a_copy_reaches_the_folder_it_came_from(name: str) -> None:
    for path in (PATTERNS / name).glob("*.py"):
        assert "entities.patterns" not in path.read_text(), path.name
