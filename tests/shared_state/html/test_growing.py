"""A growing text: where it is cut follows from the text alone; what is whole is what a whole text shows."""

from __future__ import annotations

import random

import pytest

from shared_state.html import foreign, growing, markdown
from shared_state.html.growing import CUT, Growing

PIECES = (
    "# Bees\n", "\n", "\n\n", "A paragraph of **words**.\n", "more `words`\n", "- one\n", "- two\n\n",
    "  - inner\n", "* other\n", "1. first\n", "2. second\n", "3) third\n", "> quote\n", "> - in it\n",
    ">> deeper\n", "```py\n", "```\n", "~~~\n", "x = 1\n", "    indented\n", "| a | b |\n", "|---|--:|\n",
    "| 1 | 2 |\n", "| only\n", "---\n", "***\n", "===\n", "[a]: https://e.org\n", "see [a]\n", "lazy line\n",
    "\ttab\n", "- \n", "-\n", "  continued\n", "🐝 Wörter\n", "   ```js\n", "#hash\n", "10. ten\n",
    "- ```py\n",
    "  y\n", "\\", "`", "*", " ", "x",
)  # fmt: skip


def texts() -> list[str]:
    chance = random.Random(4)
    return ["".join(chance.choices(PIECES, k=chance.randint(3, 40))) for _ in range(150)]


def shown(text: Growing) -> tuple[object, ...]:
    return text.blocks, text.rest, text.begin, text.language, text.length


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_text_is_the_same_whatever_pieces_it_came_in(size: int) -> None:
    for text in texts():
        found, said = Growing(), ""
        for start in range(0, len(text), size):
            found, _ = found.more(text[start : start + size])
            said += text[start : start + size]
            if start % 5 == 0:
                assert shown(found) == shown(Growing.of(said))
        assert shown(found) == shown(Growing.of(text))
        assert said.endswith(found.rest)
        assert text[found.begin :] == found.tail


@pytest.mark.parametrize(
    ("text", "whole", "rest"),
    [
        ("Not a line", "", "Not a line"),
        ("One line,\nand more", "", "One line,\nand more"),
        ("A paragraph.\n\nAnd", "A paragraph.\n\n", "And"),
        ("# A heading\nAnd", "# A heading\n", "And"),
        ("- one\n- two\n- thr", "- one\n", "- two\n- thr"),
        ("- one\n  - in\n\n  more\n- two\n", "- one\n  - in\n\n  more\n", "- two\n"),
        ("- one\n- two\n\nAfter\n", "- one\n- two\n\n", "After\n"),
        ("- one\nlazy\n- two\n", "- one\nlazy\n", "- two\n"),
        ("- one\n***\nx\n", "- one\n", "***\nx\n"),
        ("1. one\n2. two\n", "1. one\n", "2. two\n"),
        ("Text\n2. is none\n", "", "Text\n2. is none\n"),
        ("Text\n- one\n", "Text\n", "- one\n"),
        ("```py\nx = 1\n\ny = 2", "", "```py\nx = 1\n\ny = 2"),
        ("```py\nx = 1\n```\n", "```py\nx = 1\n```\n", ""),
        ("````\n```\n- x\n\n# y\n````\nz", "````\n```\n- x\n\n# y\n````\n", "z"),
        ("| a |\n|---|\n| 1 ", "", "| a |\n|---|\n| 1 "),
        ("| a |\n|---|\n| 1 |\n| 2", "| a |\n|---|\n| 1 |\n", "| 2"),
        ("> a\n> b\n\nc\n", "> a\n> b\n\n", "c\n"),
        ("Wörter 🐝\n\nund", "Wörter 🐝\n\n", "und"),
        ("    code\n\n    more\n", "", "    code\n\n    more\n"),
    ],
)
def test_what_is_before_the_last_block_is_whole(text: str, whole: str, rest: str) -> None:
    found = Growing.of(text)

    assert (text[: len(text) - len(found.rest)], found.rest) == (whole, rest)
    assert "".join(found.blocks) == markdown.render(whole)


@pytest.mark.parametrize(
    ("text", "language", "tail"),
    [
        ("Text\n\n```py\nx = 1\n", "py", "x = 1\n"),
        ("~~~\nplain", "", "plain"),
        ("   ```rust ignore\nfn", "rust", "fn"),
        ("```py", None, "```py"),
        ("- ```py\n  x", None, "- ```py\n  x"),
        ("`x` is code\n", None, "`x` is code\n"),
    ],
)
def test_code_that_is_still_written_is_told_from_text(text: str, language: str | None, tail: str) -> None:
    found = Growing.of(text)

    assert (found.language, found.tail) == (language, tail)


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"- item {n} **bold**\n" for n in range(200)),
        "".join(f"- item {n}\n\n" for n in range(200)),
        "".join(f"{n}. item\n   - inner\n" for n in range(1, 200)),
        "| a | b |\n|---|--:|\n" + "".join(f"| {n} | x |\n" for n in range(200)),
        "".join(f"## Part {n}\n\nSome **words**.\n\n```py\nx = {n}\n```\n" for n in range(60)),
        "> " * 30 + "deep\n\nAnd after\n",
        "word " * 3_000,
    ],
    ids=["list", "loose list", "numbered", "table", "parts", "quotes", "line"],
)
def test_when_it_is_complete_nothing_of_it_is_said_again(text: str) -> None:
    found = Growing.of(text)

    step = found.complete(text)

    assert step.keep == len(found.blocks)
    assert len(step.html) < 2_000 or not found.blocks


def test_what_differs_as_a_whole_is_said_again_from_there() -> None:
    text = "One.\n\nSee [a].\n\n[a]: https://e.org\n"

    step = Growing.of(text).complete(text)

    assert (step.keep, step.into) == (1, False)
    assert step.html == '<p>See <a href="https://e.org" rel="noopener nofollow">a</a>.</p>\n'


@pytest.mark.parametrize(
    "piece", ["\n", " \n", "x\n", "> x\n", "- - x\n", "  - x\n", "| x\n", "-", "    x\n"]
)
def test_what_cannot_be_cut_is_looked_at_once(piece: str) -> None:
    """A square of this length would take minutes."""
    text = "- x\n" + piece * (300_000 // len(piece))

    assert Growing.of(text).length == len(text)


def test_cuts_are_no_more_than_the_text_can_pay_for() -> None:
    for piece in ("a\n\n", "- a\n", "```\n```\n", "# a\n", "|a|\n|-|\n|b|\n\n"):
        text, steps = Growing().more(piece * (30_000 // len(piece)))
        cost = sum(growing.SHELL if step.new_tail else growing.CUT for step in steps)

        assert len(steps) > 10
        assert cost < growing.FREE + 2 * text.length // growing.SHARE + growing.SHELL


@pytest.mark.parametrize("size", [2_000, 20_000, 60_000])
def test_a_list_that_becomes_loose_at_its_end_costs_three_times_its_html_at_the_most(size: int) -> None:
    """All that was shown of it is said again, so its cuts must have been few."""
    item = "- Some words that are quite long and go on and on, as people write them.\n"
    text = item * (size // len(item)) + "\n- last one\n"
    said, sent = Growing(), 0
    for start in range(0, len(text), 18):
        said, steps = said.more(text[start : start + 18])
        sent += len(text[start : start + 18]) + sum(len(step.html) + CUT for step in steps)

    last = said.complete(text)

    assert last.keep == 0
    assert sent + len(last.html) <= 3 * sum(map(len, foreign.blocks(text)))
