"""The front door has what the documents name and what its own verbs raise."""

import inspect
import re

from entities import api
from entities import exceptions as ours
from shared_state import exceptions as streams
from tests.support.processes import ROOT

PAGES = sorted([*(ROOT / "docs" / "reference").glob("*.md"), *(ROOT / "docs" / "how-to").glob("*.md")])
KNOWN = {
    name: found
    for module in (ours, streams)
    for name, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, Exception)
}
RAISED_BY_VERBS = {
    "RowError", "SchemaError", "SchemaMismatch", "SharedStateError", "StreamClosed", "StreamExists",
    "StreamNotFound", "TooLarge",
}  # fmt: skip
"""What `mkdb`, `observe`, `spawn`, `send` and writing rows raise of the streams beneath."""


def named_in_code(text: str) -> set[str]:
    """The exceptions that a page's blocks of code and backticks name."""
    pieces = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    return {word for piece in pieces for word in re.findall(r"\w+", piece)} & KNOWN.keys()


def test_every_exception_that_is_documented_comes_from_the_front_door() -> None:
    named = {name: path.name for path in PAGES for name in named_in_code(path.read_text())}

    assert {"StreamExists", "SchemaMismatch", "VersionConflict"} <= named.keys()
    for name, page in named.items():
        assert getattr(api, name, None) is KNOWN[name], f"{page} names {name}"
        assert name in api.__all__


def test_what_the_verbs_raise_comes_from_the_front_door() -> None:
    for name in RAISED_BY_VERBS:
        assert getattr(api, name) is KNOWN[name]
        assert name in api.__all__


def test_the_list_of_the_front_door_is_true() -> None:
    assert len(set(api.__all__)) == len(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)
