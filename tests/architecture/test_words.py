"""One word, one thing: names that the house has given up do not come back, in any language of ours.

Only names are looked at. Prose may have patience, a debate may end in a draw, and what is in the logs stays
as it is there: the key that an agent was made with begins with "born:".
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import APPS, files, python_files, text, tree

GIVEN_UP = {
    "ledger": "write_set", "ledgers": "write_sets", "outbox": "send_queue", "visitor": "session",
    "bury": "forget", "buried": "forgotten", "breath": "poll interval", "patience": "timeout",
    "birth": "spawn", "births": "spawn", "born": "spawn", "unfinished": "partial", "rundata": "run_state",
    "last_word": "closing", "last_words": "closing", "crash_outcome": "outcome",
}  # fmt: skip
"""Word → the one to use instead."""

GIVEN_UP_AS_NAMES = re.compile(r"_*(?:stage|draw|drawn|drawing)(?:_|$)")
"""Of functions and classes: say `panel` and `render`."""

GIVEN_UP_AS_MODULES = {
    "calls", "claims", "control", "crash", "crash_outcome", "directory", "drawing", "ledger", "outbox",
    "records", "rundata", "spawning", "stage", "texts", "threads", "unfinished", "work",
}  # fmt: skip

STRINGS_AND_COMMENTS = re.compile(
    r"""/\*.*?\*/|//[^\n]*|<!--.*?-->|\{#.*?#\}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)
"""Of JavaScript and styles. What stands in a template string is taken for code, which does no harm."""


def snake(name: str) -> str:
    """Any spelling of a name as `snake_case`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", name).lower()


def given_up(name: str) -> list[str]:
    """Which of the words are in a name, as whole words."""
    spelled = f"_{snake(name)}_"
    return [word for word in GIVEN_UP if f"_{word}_" in spelled]


def names_in_python(path: Path) -> Iterator[str]:
    """Every name that a Python file gives or uses, and the keys of its literal mappings."""
    for node in ast.walk(tree(path)):
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield from value.split(".")
        if isinstance(node, ast.Dict):
            keys = (key.value for key in node.keys if isinstance(key, ast.Constant))
            yield from (key for key in keys if isinstance(key, str) and key.isidentifier())


def names_in_text(path: Path) -> Iterator[str]:
    """Every identifier of a script, style or template, comments and strings of the first two left out."""
    source = text(path)
    if path.suffix in {".js", ".css"}:
        source = STRINGS_AND_COMMENTS.sub(" ", source)
    elif path.suffix == ".html":
        source = " ".join(re.findall(r"\{[{%].*?[%}]\}|<[^>]*>", source, re.DOTALL))
    yield from re.findall(r"[A-Za-z_][\w-]*", source)


def sources() -> list[Path]:
    """What is ours in Python, JavaScript, styles and templates."""
    ours = [path for path in files(".js", ".css", ".html") if "vendor" not in path.parts]
    return [*python_files(), *ours]


def named(path: Path) -> set[str]:
    """The names in a file."""
    return set(names_in_python(path) if path.suffix == ".py" else names_in_text(path))


def test_no_name_has_a_word_that_was_given_up() -> None:
    found = {
        f"{path}: {name}: say {GIVEN_UP[word]}"
        for path in sources()
        if path != Path("tests/architecture/test_words.py")
        for name in named(path)
        for word in given_up(name)
    }

    assert found == set()


def test_nothing_is_staged_or_drawn() -> None:
    found = []
    for path in python_files():
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        defined = [node.name for node in ast.walk(tree(path)) if isinstance(node, kinds)]
        found += [f"{path}: {name}" for name in defined if GIVEN_UP_AS_NAMES.match(snake(name))]
    for path in (path for path in files(".js") if "vendor" not in path.parts):
        found += [f"{path}: {name}" for name in named(path) if GIVEN_UP_AS_NAMES.match(snake(name))]

    assert found == []


def test_no_module_has_a_name_that_was_given_up() -> None:
    found = [path for path in python_files() if path.parts[0] in APPS and path.stem in GIVEN_UP_AS_MODULES]

    assert found == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ledger", ["ledger"]), ("_born_by", ["born"]), ("lastWords", ["last_words"]), ("BREATH", ["breath"]),
        ("agent-outbox", ["outbox"]), ("RunFinished", []), ("breathing", []),
        ("stubborn", []),
    ],
)  # fmt: skip
def test_words_are_found_in_every_spelling(name: str, words: list[str]) -> None:
    assert given_up(name) == words


def test_names_are_told_from_prose(tmp_path: Path) -> None:
    script, template = tmp_path / "a.js", tmp_path / "a.html"
    script.write_text('const ledger = "patience"; // outbox\ndraw(born);\n/* bury */')
    template.write_text('<p class="outbox">{{ visitor }} has patience {# bury #}</p>')

    assert {word for name in names_in_text(script) for word in given_up(name)} == {"ledger", "born"}
    assert {word for name in names_in_text(template) for word in given_up(name)} == {"outbox", "visitor"}
