"""The wheel, built once, and a foreign project that has it installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package.foreign import EMAIL, Foreign, build, environment_with


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    return build("wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has it installed."""
    return environment_with(built, tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="module")
def foreign(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """The project, migrated and served, with a worker beside it."""
    with Foreign(python, tmp_path_factory.mktemp("project")) as project:
        project.make()
        project.manage("makemigrations", "people")
        for database in ("default", "streams"):
            project.manage("migrate", "--database", database, "-v", "0")
        project.manage("createsuperuser", "--noinput", "--email", EMAIL)
        project.serve()
        project.worker()
        yield project
