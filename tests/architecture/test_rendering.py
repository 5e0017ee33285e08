"""Who may make HTML. The import linter knows of Django no more than its name, so this reads the imports."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.architecture.source import python_files, tree

ROOMS = (("shared_state", "html"), ("entities", "web"))
"""The rooms that render; the site's own pages are its own affair."""
MAKERS = (
    "django.shortcuts", "django.template", "django.utils.html", "django.utils.safestring",
    "jinja2", "markupsafe",
)  # fmt: skip
LIBRARY = "django.template"
"""What registers tags is made of it, and makes no HTML: `templatetags` may import it as `template`."""


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The full names that a module imports when it runs: not what only a type checker reads."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported(node.orelse)
        else:
            yield from imported(ast.iter_child_nodes(node))


def makers(module: ast.Module, *, tags: bool = False) -> list[str]:
    """What a module imports that makes HTML."""
    return [
        name
        for name in imported(module.body)
        if any(name == maker or name.startswith(f"{maker}.") for maker in MAKERS)
        and not (tags and name == LIBRARY)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "from django.template.loader import render_to_string",
        "from django.template import loader",
        "from django import template",
        "from django.utils.html import format_html",
        "import django.utils.html as html",
        "from django.utils import safestring",
        "def late() -> None:\n    from django.utils.safestring import mark_safe",
        "try:\n    from django.shortcuts import render\nexcept ImportError:\n    pass",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from django.shortcuts import render",
    ],
)
def test_the_reader_of_imports_sees_what_makes_html(line: str) -> None:
    assert len(makers(ast.parse(line))) == 1


def test_it_lets_types_and_the_registry_of_tags_pass() -> None:
    typed = ast.parse("if TYPE_CHECKING:\n    from django.utils.safestring import SafeString")
    library = ast.parse("from django import template")

    assert makers(typed) == []
    assert makers(library, tags=True) == []
    assert makers(ast.parse("from django.template import loader"), tags=True) != []


def outside() -> list[Path]:
    """The modules of both apps that are not in a room that renders."""
    apps = {app for app, _ in ROOMS}
    return [path for path in python_files() if path.parts[0] in apps and path.parts[:2] not in ROOMS]


def test_html_is_made_in_html_and_web_alone() -> None:
    assert len(outside()) > 100
    found = {path: makers(tree(path), tags="templatetags" in path.parts) for path in outside()}

    assert {str(path): names for path, names in found.items() if names} == {}
