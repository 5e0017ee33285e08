"""No template and no script knows where pages are: a project includes them under any prefix."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.source import files, text

IN_SCRIPT = re.compile(r"""["'`]/[a-z]""")
"""A text that begins like an address of ours."""
IN_TEMPLATE = re.compile(r'(?:href|action|src|hx-\w+|data-[\w-]+)="(?:/[a-z]|\{\{[^}]*\}\}/)')
"""An address, or one that is put together: what is a name in the log is no page."""


def scripts() -> list[Path]:
    return [path for path in files(".js") if path.parts[0] == "static" and "vendor" not in path.parts]


def found(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(text(path).splitlines(), 1)
        if pattern.search(line) and not line.lstrip().startswith("//")
    ]


def test_no_script_holds_an_address() -> None:
    assert len(scripts()) > 10
    assert found(IN_SCRIPT, scripts()) == []


def test_no_template_holds_an_address() -> None:
    assert found(IN_TEMPLATE, list(files(".html"))) == []


def test_what_scripts_read_of_an_element_is_there() -> None:
    """Also where a script asks for an address by a name that a template has given up."""
    named = {
        re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", name)
        for path in scripts()
        for name in re.findall(r"dataset\.(\w+)", text(path))
    }
    sources = "\n".join(text(path) for path in [*files(".html"), *files(".py"), *scripts()])
    told = set(re.findall(r'skeleton\.tell\("([\w-]+)"', sources))
    written = {
        re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", name)
        for name in re.findall(r"dataset\.(\w+) = ", sources)
    }

    assert {name for name in named if f"data-{name}" not in sources} - told - written == set()
