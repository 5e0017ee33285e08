"""Code in colours, by a short list of lexers that were checked against hostile code. No Django here.

A lexer is a list of regular expressions, and many of the five hundred that Pygments has take time that grows
with the square or the cube of what they read: 20,000 newlines keep the one for C++ busy for fifteen seconds,
with every other thread of the process waiting. Those on this list take no longer than a fraction of a second
for the longest code that they are given (`tests/shared_state/html/test_hostile_texts.py`), since what they
are slow at is kept from them: long runs of blanks, and long lines without any. All other code is shown
plain.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

LONGEST = 20_000
"""How many bytes of code are coloured; longer code is shown plain."""

MOST_BLANKS = 200
"""How many blanks may follow each other in code that is coloured; most lexers are quadratic in them."""
MOST_SIGNS = 300
"""How many other characters may; those for JavaScript and TypeScript are quadratic in `a.a.a.`."""

LEXERS = {
    "bash": ("sh", "shell", "zsh"),
    "css": (),
    "diff": ("patch", "udiff"),
    "go": ("golang",),
    "html": ("htm",),
    "ini": ("cfg",),
    "javascript": ("js", "mjs"),
    "json": ("jsonc",),
    "python": ("py", "py3", "python3"),
    "rust": ("rs",),
    "sql": (),
    "toml": (),
    "typescript": ("ts",),
    "xml": ("svg",),
    "yaml": ("yml",),
}
"""Pygments' name of each checked lexer, and what else a block of code may call its language."""

_NAMES = {name: lexer for lexer, others in LEXERS.items() for name in (lexer, *others)}
_SLOW = re.compile(rf"\s{{{MOST_BLANKS}}}|\S{{{MOST_SIGNS}}}")
_FORMATTER = HtmlFormatter(nowrap=True)


def coloured(code: str, language: str) -> str:
    """Code as HTML: coloured if its language has a checked lexer and it is not too long, else escaped."""
    name = _NAMES.get(language.lower())
    too_long = len(code) > LONGEST or len(code.encode(errors="replace")) > LONGEST
    if name is None or too_long or _SLOW.search(code):
        return escape(code)
    return str(highlight(code, _lexer(name), _FORMATTER))


@cache
def _lexer(name: str) -> Any:
    return get_lexer_by_name(name, stripnl=False)
