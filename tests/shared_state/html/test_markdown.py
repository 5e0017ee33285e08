"""Markdown from agents is untrusted: what comes out is safe, and still readable."""

from __future__ import annotations

import pytest

from shared_state.html.markdown import render


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](javascript:alert(1))",
        '<a href="javascript:alert(1)">x</a>',
        '[x](https://e.org "a\\" onclick=\\"alert(1)")',
        "<svg/onload=alert(1)>",
        "```<script>\nx\n```",
        '```"><script>\nx\n```',
        "<iframe src=//e.org></iframe>",
        "| a |\n|---|\n| <b onclick=x>c</b> |",
    ],
)
def test_nothing_that_runs_comes_out(text: str) -> None:
    html = render(text).lower()

    assert "<script" not in html
    assert "<img" not in html
    assert "<iframe" not in html
    assert "<svg" not in html
    for tag in html.split("<")[1:]:
        inside = tag.split(">", 1)[0]
        assert " on" not in inside.replace(' rel="noopener nofollow"', "").split('title="')[0]
        assert "javascript:" not in inside
        assert "style=" not in inside


def test_a_picture_becomes_a_link() -> None:
    """Loading it would tell its server who reads."""
    assert render("![A cat](https://e.org/cat.png)") == (
        '<p><a href="https://e.org/cat.png" rel="noopener nofollow">A cat</a></p>\n'
    )


def test_links_do_not_vouch_for_where_they_lead() -> None:
    assert 'rel="noopener nofollow"' in render("[x](https://e.org)")
    assert 'href="/debate/1/"' in render("[the debate](/debate/1/)")


def test_a_bare_address_is_a_link_and_a_file_is_none() -> None:
    assert '<a href="https://e.org/a"' in render("See https://e.org/a.")
    assert "<a" not in render("Look at main.py and README.md.")


def test_code_is_highlighted_in_its_language() -> None:
    html = render("```python\ndef f(): return 1\n```")

    assert '<span class="code-language">python</span>' in html
    assert '<span class="k">def</span>' in html


@pytest.mark.parametrize("language", ["", "nonsense"])
def test_code_in_no_known_language_is_plain(language: str) -> None:
    assert "<code>a &lt; b\n</code>" in render(f"```{language}\na < b\n```")


def test_tables_scroll_within_themselves_and_keep_their_alignment() -> None:
    html = render("| a | b |\n|:--|--:|\n| 1 | 2 |")

    assert html.startswith('<div class="table-scroll" tabindex="0"><table>')
    assert '<td class="align-right">2</td>' in html
    assert "style" not in html


def test_what_is_streaming_may_be_cut_off_anywhere() -> None:
    text = "# T\n\n**bold** `code`\n\n```python\nx = [1, (2\n```\n\n| a |\n|---|\n| [x](https://e.org) |"
    for end in range(len(text)):
        assert "<script" not in render(text[:end])
