"""Templates obey the content security policy: no inline script or style, nothing from elsewhere."""

import re

import pytest
from django.contrib.staticfiles import finders

from tests.architecture.source import files, text

INLINE_SCRIPT = re.compile(r"<script(?![^>]*\b(?:src|nonce|type=\"application/json\"))", re.IGNORECASE)
INLINE_STYLE = re.compile(r"<style(?![^>]*\bnonce)|\sstyle\s*=\s*[\"']", re.IGNORECASE)
HANDLER = re.compile(r"\s(?:on[a-z]+|hx-on[:\w-]*)\s*=\s*[\"']|javascript:", re.IGNORECASE)
REMOTE = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)\s*=\s*[\"'](?:https?:)?//", re.IGNORECASE
)


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{text(path)[: match.start()].count(chr(10)) + 1}: {match.group()}"
        for path in files(".html")
        for match in pattern.finditer(text(path))
    ]


def test_every_static_file_that_a_template_names_is_there() -> None:
    named = {
        name
        for path in files(".html")
        for name in re.findall(r"{%\s*static\s+['\"]([^'\"]+)['\"]", text(path))
    }

    assert named
    assert {name for name in named if finders.find(name) is None} == set()


def test_there_are_templates_to_look_at() -> None:
    assert len(files(".html")) > 3


def test_no_template_has_an_inline_script() -> None:
    assert found(INLINE_SCRIPT) == []


def test_no_template_has_an_inline_style() -> None:
    assert found(INLINE_STYLE) == []


def test_no_template_has_an_inline_handler() -> None:
    assert found(HANDLER) == []


def test_no_template_loads_anything_from_elsewhere() -> None:
    assert found(REMOTE) == []


# -- templates are written to be read

LONGEST = 120
"""Characters of a line."""
INLINE = frozenset({"a", "b", "br", "code", "del", "em", "i", "ins", "kbd", "span", "strong"})
"""Elements of running text: a line may hold several of them, beside one that is none of these."""
OPENING = re.compile(r"<([a-z][a-z0-9]*)[\s>]|<([a-z][a-z0-9]*)$")
DECISION = re.compile(r"{%\s*(?:if|elif|else|for|empty|block)\b")
TAG = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}")
IN_VALUE = re.compile(r'"[^"]*"')


def opened(line: str) -> list[str]:
    """The elements that a line opens and that are not running text."""
    bare = IN_VALUE.sub('""', TAG.sub("", line))
    return [name for found in OPENING.findall(bare) for name in found if name and name not in INLINE]


def unreadable(line: str) -> list[str]:
    """What makes a line hard to read."""
    indentation = len(line) - len(line.lstrip(" "))
    return [
        complaint
        for complaint, holds in (
            (f"{len(line)} characters", len(line) > LONGEST),
            (f"opens {', '.join(opened(line))}", len(opened(line)) > 1),
            ("more than one decision", len(DECISION.findall(line)) > 1),
            ("indented by something other than pairs of blanks", indentation % 2 == 1 or "\t" in line),
            ("blanks at its end", line != line.rstrip()),
        )
        if holds
    ]


@pytest.mark.parametrize(
    ("line", "complaints"),
    [
        ('  <p class="x"><strong>{{ a }}</strong> and <a href="{{ b }}">{{ c }}</a></p>', 0),
        ('  <p title="a <b> <i> of <div>">x</p>', 0),
        ("<ul><li>one</li></ul>", 1),
        ("{% if a %}<p>{{ a }}</p>{% else %}<p>none</p>{% endif %}", 2),
        ('<a {% if here %}aria-current="page"{% endif %}>{{ title }}</a>', 0),
        (f"<p>{'x' * 120}</p>", 1),
        (" <p>", 1),
        ("<p> ", 1),
    ],
)
def test_the_reader_of_templates_sees_what_is_hard_to_read(line: str, complaints: int) -> None:
    assert len(unreadable(line)) == complaints


def test_every_line_of_a_template_can_be_read() -> None:
    found = [
        f"{path}:{number}: {complaint}"
        for path in files(".html")
        for number, line in enumerate(text(path).splitlines(), 1)
        for complaint in unreadable(line)
    ]

    assert found == []


def test_templates_lie_in_the_folder_of_their_component() -> None:
    """`templates/<app>/<component>/…`; only the frame of all pages lies higher."""
    loose = [
        path.name
        for path in files(".html")
        if re.search(r"templates/(?:shared_state|entities)/[^/]+$", str(path))
    ]

    assert loose == ["base.html"]
