"""What the wheel carries: all that the apps need, each file once, and nothing of the tests."""

from __future__ import annotations

import os
import re
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import django_htmx
import pytest

from tests.architecture.source import files, text
from tests.package.foreign import build, run
from tests.support.processes import ROOT

PROJECT = tomllib.loads(text(Path("pyproject.toml")))["project"]
PLACES = {
    "templates": re.compile(r"(?:agents_site|entities|shared_state)/templates/(.+)"),
    "static": re.compile(r"(?:agents_site|entities|shared_state)/static/agents/(.+)"),
}


@pytest.fixture(scope="module")
def names(built: Path) -> list[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


@pytest.mark.parametrize("folder", ["templates", "static"])
def test_every_template_and_static_file_is_taken_along_once(names: list[str], folder: str) -> None:
    carried = sorted(found[1] for name in names if (found := PLACES[folder].fullmatch(name)))

    assert carried == sorted(
        path.relative_to(folder).as_posix() for path in files() if path.parts[0] == folder
    )


def test_each_app_carries_what_bears_its_name(names: list[str]) -> None:
    for app, other in (("entities", "shared_state"), ("shared_state", "entities")):
        assert any(name.startswith(f"{app}/templates/{app}/") for name in names)
        assert not any(name.startswith(f"{other}/templates/{app}/") for name in names)


def test_all_code_and_data_of_the_packages_is_there(names: list[str]) -> None:
    packages = ("agents_site", "entities", "shared_state")
    own = {path.as_posix() for path in files() if path.parts[0] in packages}

    assert own - set(names) == set()
    assert {
        "entities/migrations/0001_initial.py",
        "entities/offline/texts/chat.toml",
        "entities/py.typed",
    } <= own


def test_nothing_else_is_there(names: list[str]) -> None:
    roots = {name.split("/", 1)[0] for name in names}

    assert {root for root in roots if not root.endswith(".dist-info")} == {
        "agents_site",
        "entities",
        "shared_state",
    }
    assert [name for name in names if "__pycache__" in name or "tests" in name.split("/")] == []


def test_the_same_commit_gives_the_same_wheel_also_from_its_source(built: Path, tmp_path: Path) -> None:
    assert build("wheel", tmp_path / "again").read_bytes() == built.read_bytes()

    source = build("sdist", tmp_path)
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / source.name.removesuffix(".tar.gz")
    assert build("wheel", tmp_path / "from-source", folder).read_bytes() == built.read_bytes()


def test_the_source_has_what_its_documents_speak_of(tmp_path: Path) -> None:
    """README and CONTRIBUTING say `make run` and `make test`: the tests run there, without git."""
    source = build("sdist", tmp_path)
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / source.name.removesuffix(".tar.gz")
    carried = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    wanted = {path.as_posix() for path in files() if path.name != ".gitignore"}

    assert wanted - carried == set()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    assert "make test" in run(["make", "help", f"PYTHON={sys.executable}"], folder, environment)
    said = run(
        [sys.executable, "-m", "pytest", "-q", "tests/architecture/test_shape.py"], folder, environment
    )
    assert "5 passed" in said


def test_make_says_with_which_python_it_tests() -> None:
    environment = {"PATH": os.environ["PATH"]}
    planned = run(["make", "-n", "test", f"PYTHON={sys.executable}", "CHROMIUM=Makefile"], ROOT, environment)

    assert 0 <= planned.find(f'echo "Checking with {sys.executable}, ') < planned.find("-m pytest")


def test_the_ranges_are_those_of_the_requirements() -> None:
    wanted = set(PROJECT["dependencies"])
    for extra in PROJECT["optional-dependencies"].values():
        wanted |= set(extra)
    lines = text(Path("requirements/base.in")).splitlines()
    pinned = {line.partition("#")[0].strip() for line in lines} - {""}

    assert wanted == pinned


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", text(Path("CHANGELOG.md")), re.MULTILINE)

    assert PROJECT["version"].partition(".dev")[0] == versions[0]


def test_the_htmx_that_pages_load_is_the_one_that_is_pinned() -> None:
    theirs = Path(django_htmx.__file__).parent / "static" / "django_htmx" / "htmx-2.min.js"

    assert (ROOT / "static" / "vendor" / "htmx-2.min.js").read_bytes() == theirs.read_bytes()


def test_the_example_site_starts_from_the_wheel(python: Path, tmp_path: Path) -> None:
    """Its templates and static files are inside, and it writes beside nobody's packages."""
    command = python.parent / "agents-site"
    environment = {"PATH": "", "HOME": str(tmp_path), "SECRET_KEY": "x" * 50, "PYTHONDONTWRITEBYTECODE": "1"}

    run([str(command), "migrate", "-v", "0"], tmp_path, environment)
    found = run(
        [str(command), "findstatic", "agents/css/admin.css", "agents/js/main.js"], tmp_path, environment
    )

    assert (tmp_path / "var" / "db.sqlite3").exists()
    assert found.count(str(python.parent.parent)) == 2
