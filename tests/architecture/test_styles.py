"""Styles follow one scale, on flags that the server sets, in lines that a person can read."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import files, text

TOKENS = Path("static/css/tokens.css")
WIDEST = 120
LONGEST = 400
BREAKPOINTS = {"45rem", "64rem"}
"""The only lengths outside the tokens: a custom property cannot stand in a media query."""

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
USED = re.compile(r"var\((--[\w-]+)")
DEFINED = re.compile(r"(?<![\w(-])(--[\w-]+)\s*:")
SIZE = re.compile(r"(?<![\w#.-])-?(?:\d+\.?\d*|\.\d+)(?!\w*%)([a-z]+)\b", re.IGNORECASE)
"""A number with a unit: a length or a time. Without one it is a zero, a share, a count or an opacity."""
FREE_UNITS = {"fr", "deg"}
"""Shares of what is left, and angles: neither is a size."""
COLOUR = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|light-dark)\("
    r"|(?<![\w-])(?:black|white|red|green|blue|gr[ae]y|orange|yellow|purple|silver)(?![\w-])",
    re.IGNORECASE,
)
BY_SCALE = re.compile(r"^(?:z-index|line-height|letter-spacing|font-weight)$")
"""Properties whose plain numbers are on a scale, too."""


def styles() -> list[Path]:
    """Our style sheets."""
    return [path for path in files(".css") if "vendor" not in path.parts]


def sheets() -> list[Path]:
    """Those that use the tokens."""
    return [path for path in styles() if path != TOKENS]


def bare(path: Path) -> str:
    """A sheet with blanks for its comments and strings, line for line."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match.group())

    return STRING.sub(blank, COMMENT.sub(blank, text(path)))


def declarations(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, property and value of each declaration outside at-rules' heads."""
    whole = bare(path)
    for match in re.finditer(r"(?<=[{;])\s*([\w-]+)\s*:([^{};]*)(?=[;}])", whole):
        yield whole[: match.start(1)].count("\n") + 1, match[1], " ".join(match[2].split())


def raw_values(path: Path) -> list[str]:
    """Every size, time, colour and place on a scale that is not a token."""
    found = []
    for line, name, value in declarations(path):
        sizes = [size[0] for size in SIZE.finditer(value) if size[1].lower() not in FREE_UNITS]
        colours = COLOUR.findall(value)
        numbers = re.findall(r"^-?[\d.]+$", value) if BY_SCALE.match(name) else []
        found += [f"{path}:{line}: {name}: {raw}" for raw in [*sizes, *colours, *numbers]]
    return found


def test_there_are_styles_to_look_at() -> None:
    assert len(sheets()) > 5
    assert sum(len(list(declarations(path))) for path in sheets()) > 500


def test_no_size_time_or_colour_stands_beside_the_tokens() -> None:
    assert [raw for path in sheets() for raw in raw_values(path)] == []


def test_breakpoints_are_the_two_that_are_named() -> None:
    found = {
        size
        for path in styles()
        for head in re.findall(r"@media[^{]*", bare(path))
        for size in re.findall(r"[\d.]+[a-z]+", head)
    }

    assert found == BREAKPOINTS
    assert all(size in text(TOKENS) for size in BREAKPOINTS)


def test_layout_asks_no_parent_what_lies_in_it() -> None:
    assert [str(path) for path in styles() if ":has(" in bare(path)] == []


def test_every_token_that_is_used_is_defined() -> None:
    """The admin's own names are Django's: it uses what it sets."""
    defined = {name for path in styles() for name in DEFINED.findall(bare(path))}
    used = {(str(path), name) for path in styles() for name in USED.findall(bare(path))}

    assert {(path, name) for path, name in used if name not in defined} == set()


def test_every_token_that_is_defined_is_used() -> None:
    used = {name for path in styles() for name in USED.findall(bare(path))}

    assert set(DEFINED.findall(bare(TOKENS))) - used == set()


def test_lines_can_be_read() -> None:
    """One declaration a line; a selector a line; no line and no file too long."""
    found = []
    for path in styles():
        lines = bare(path).splitlines()
        if len(lines) > LONGEST:
            found.append(f"{path} has {len(lines)} lines")
        for number, (line, blanked) in enumerate(zip(text(path).splitlines(), lines, strict=True), 1):
            crowded = blanked.count(";") > 1 or re.search(r"[{;}]\s*\S", blanked.rstrip())
            if len(line) > WIDEST or crowded or line != line.rstrip():
                found.append(f"{path}:{number}: {line[:80]}")

    assert found == []


def test_every_rule_has_something_to_draw() -> None:
    assert [str(path) for path in styles() if re.search(r"\{\s*\}", bare(path))] == []


def test_every_class_that_a_rule_names_is_rendered() -> None:
    """By name, or as a prefix that a template completes: `tool-{{ item.status }}`."""
    sources = "\n".join(text(path) for path in files(".html", ".js", ".py") if path.parts[0] != "tests")
    words = set(re.findall(r"[\w-]+", sources))
    words |= {word.replace("_", "-") for word in words}  # a class that Python decides on is a keyword there
    named = {
        name
        for path in styles()
        if path.name != "admin.css"  # Django's classes
        for head in re.findall(r"[^{};]+(?=\{)", bare(path))
        for name in re.findall(r"\.([a-z][\w-]{2,})", head)  # shorter ones are Pygments'
    }

    assert len(named) > 100
    assert {
        name for name in named if name not in words and f"{name.rpartition('-')[0]}-" not in words
    } == set()


def test_each_file_says_first_what_it_draws() -> None:
    assert [str(path) for path in styles() if not text(path).startswith("/* ")] == []


def test_every_sheet_is_linked() -> None:
    named = "\n".join(text(path) for path in files(".html", ".py") if path.parts[0] != "tests")
    linked = set(re.findall(r"['\"]agents/(css/[\w/]+\.css)['\"]", named))

    assert {path.as_posix().removeprefix("static/") for path in styles()} == linked
