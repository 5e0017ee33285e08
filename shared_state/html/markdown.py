"""Markdown from agents, which is untrusted: rendered, highlighted and then sanitised by an allow-list.

How long that takes is not bounded here: pages and pushes ask `foreign`, which bounds it. No raw HTML, no
remote images (a picture becomes a link: loading it would tell its server who reads), and links carry
`rel="noopener nofollow"`. No Django here.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from shared_state.html.highlight import coloured

TAGS = {
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
}
ATTRIBUTES = {
    "a": {"href", "title"},
    "code": {"class"},
    "div": {"class", "tabindex"},
    "ol": {"start"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
}
SCHEMES = {"http", "https", "mailto"}


class _Renderer(RendererHTML):
    """HTML with classes only: the page's policy allows no style attribute."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A code block with its language and highlighted code."""
        token = tokens[idx]
        language = token.info.strip().split(" ", 1)[0]
        label = f'<span class="code-language">{escape(language)}</span>' if language else ""
        code = coloured(token.content, language)
        return f'<div class="code-block">{label}<pre><code>{code}</code></pre></div>\n'

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """An indented code block: it has no language."""
        return f'<div class="code-block"><pre><code>{escape(tokens[idx].content)}</code></pre></div>\n'

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A picture as a link to it."""
        token = tokens[idx]
        source = escape(str(token.attrs.get("src", "")))
        label = self.renderInlineAsText(token.children, options, env) if token.children else ""
        return f'<a href="{source}">{escape(label or "image")}</a>'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A table that scrolls within itself, so that a wide one does not widen the page."""
        return '<div class="table-scroll" tabindex="0"><table>'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """The end of it."""
        return "</table></div>\n"


def _alignment(state: Any) -> None:
    """Column alignment as a class: markdown-it writes it as a style, which the page's policy forbids."""
    for token in state.tokens:
        style = token.attrs.pop("style", None)
        if style:
            token.attrs["class"] = str(style).replace("text-align:", "align-")


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough", "linkify"])
    parser.core.ruler.push("alignment", _alignment)
    if parser.linkify is not None:
        # Only whole addresses: "main.py" is a file, though .py is a domain.
        parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    return parser


_PARSER = _parser()
_CLEANER = nh3.Cleaner(
    tags=TAGS,
    attributes=ATTRIBUTES,
    url_schemes=SCHEMES,
    link_rel="noopener nofollow",
    strip_comments=True,
)


def blocks(text: str, *, loose: bool = False) -> list[str]:
    """Safe HTML for a text in markdown: one element for each block at its top level.

    `loose`: the items of its lists are paragraphs, as if there were an empty line between them.
    """
    env: EnvType = {}
    tokens = _PARSER.parse(text, env)
    if loose:
        _loosen(tokens)
    found, begin = [], 0
    for end, token in enumerate(tokens, 1):
        if token.level == 0 and token.nesting <= 0:
            found.append(_CLEANER.clean(_PARSER.renderer.render(tokens[begin:end], _PARSER.options, env)))
            begin = end
    return found


def render(text: str) -> str:
    """Safe HTML for a text in markdown."""
    return "".join(blocks(text))


def _loosen(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.level == 2 and token.type in ("paragraph_open", "paragraph_close"):
            token.hidden = False
