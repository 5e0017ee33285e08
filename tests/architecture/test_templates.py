"""Templates obey the content security policy: no inline script or style, nothing from elsewhere."""

import re

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
