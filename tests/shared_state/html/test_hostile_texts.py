"""Texts that were written to be slow: each is rendered within the bound, or ended at it; never timed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from shared_state.html import highlight, markdown, render_process
from shared_state.html.foreign import LONGEST, SHORT, Renderer, as_it_is
from shared_state.html.highlight import LEXERS, coloured
from shared_state.html.pretty import SMALL, WIDEST, pretty
from shared_state.html.render_process import RenderProcesses

CODE = (
    "a\n",
    "(",
    '"a',
    "<a ",
    "/*",
    "\\",
    "{a:",
    "'''\n",
    " \n" * 90 + "x",
    "// a\n",
    "$(",
    "a." * (highlight.MOST_SIGNS // 2 - 1) + " ",
    "f'{",
)
"""Pieces that make lexers slow when they are repeated."""
MARKDOWN = (
    "[a](", "![", "> ", "- - ", "*a **b ", "`` ` ", "[a][", "http://a.", "https://a.b/(", "|-|\n", "<a",
    "  - a\n", "\\\n", "[a]: b\n", "a\n===\n", "&a;", "**a", "~~", "_a ", "1. ",
    "|" * 900 + "\n|" + "-|" * 900 + "\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    found = Renderer(RenderProcesses(1))
    yield found
    found.processes.end()


def repeated(piece: str, size: int) -> str:
    return piece * (size // len(piece))


@pytest.mark.parametrize("language", LEXERS)
def test_no_code_keeps_a_checked_lexer_busy(
    renderer: Renderer, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What grows with the square takes fifteen seconds; what a slow machine takes is no fault."""
    monkeypatch.setattr(render_process, "PROCESSOR_SECONDS", 8.0)
    ended = renderer.processes.ended
    for piece in CODE:
        block = f"```{language}\n{repeated(piece, highlight.LONGEST)}\n```\n"
        shown = [html.startswith('<div class="code-block">') for html in renderer.blocks(block)]
        assert shown == [True], piece

    assert renderer.processes.ended == ended


@pytest.mark.parametrize("language", ["cpp", "autohotkey", "c", "nonsense", ""])
def test_no_other_lexer_is_ever_used(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highlight, "_lexer", None)

    assert coloured("\n" * 19_900 + "<", language) == "\n" * 19_900 + "&lt;"


@pytest.mark.parametrize(
    "code",
    [
        "x = 1\n" * 4_000,
        "é" * 10_001,
        "x" + "\n" * 200,
        "x" + " \t" * 100,
        "a." * (highlight.MOST_SIGNS // 2),
    ],
)
def test_what_is_long_or_mostly_blank_is_shown_plain(code: str) -> None:
    assert coloured(code, "python") == code


def test_names_of_languages_are_known_in_any_case() -> None:
    assert all("<span" in coloured("x = 1", name) for name in ("Python", "PY", "py3"))


@pytest.mark.parametrize("piece", MARKDOWN)
def test_markdown_is_rendered_or_ended(
    renderer: Renderer, piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_process, "PROCESSOR_SECONDS", 0.3)
    ended, text = renderer.processes.ended, repeated(piece, 60_000)

    found = renderer.blocks(text)

    assert renderer.processes.ended - ended == (found == (as_it_is(text),))
    assert sum(map(len, found)) < 3_000_000


def test_what_is_rendered_in_place_is_short(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def note(self: RenderProcesses, text: str, **more: Any) -> list[str]:
        asked.append(len(text))
        return []

    monkeypatch.setattr(RenderProcesses, "blocks", note)
    for size in (SHORT - 1, SHORT, SHORT + 1, LONGEST, LONGEST + 1):
        renderer.blocks("x" * size)
    renderer.blocks("é" * SHORT)

    assert asked == [SHORT + 1, LONGEST, SHORT]


WIDE = "|a" * 122 + "\n" + "|-" * 122 + "\n" + "|\n" * 240
"""Less than 1,000 bytes, and a table of 30,000 cells."""


@pytest.mark.parametrize("text", [WIDE, "[a]: http://" + "x" * 4_000 + "\n\n" + "[a]" * 2_000])
def test_html_is_no_multiple_of_a_text(renderer: Renderer, text: str) -> None:
    """Twenty such tables, below each other, were 6 MB for each socket that showed them."""
    assert renderer.blocks(text) == (as_it_is(text),)


def test_a_short_text_with_a_wide_table_is_not_rendered_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty of them in one answer kept a thread of the hub, and the interpreter, for half a minute."""
    monkeypatch.setattr(markdown, "blocks", None)
    monkeypatch.setattr(RenderProcesses, "blocks", lambda self, text, **more: ["<p>elsewhere</p>"])

    assert len(WIDE) <= SHORT
    assert Renderer().blocks(WIDE) == ("<p>elsewhere</p>",)


def test_a_text_at_which_a_library_fails_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str, *, loose: bool) -> list[str]:
        raise RecursionError(text)

    monkeypatch.setattr(markdown, "blocks", fail)

    assert Renderer().blocks("<b>") == (as_it_is("<b>"),)


def test_json_that_is_deeper_than_it_can_be_written_is_shown_as_it_came() -> None:
    deep = "[" * 600 + "]" * 600

    assert pretty(deep) == deep
    assert pretty("[" * 2_000) == "[" * 2_000


def test_indenting_never_makes_a_multiple_of_json() -> None:
    """Of 250 KB in 250 brackets it would make 60 MB."""
    value = orjson.loads("[" * 200 + "1," * 100_000 + "1" + "]" * 200)
    plain = len(orjson.dumps(value))

    assert len(pretty(value)) <= SMALL + (WIDEST + 1) * plain
    assert pretty({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}'
