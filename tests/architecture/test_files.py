"""What must not be in any file of the repository."""

import re
from pathlib import Path

from tests.architecture.source import files, text

TEXT = (
    ".py",
    ".toml",
    ".txt",
    ".in",
    ".md",
    ".html",
    ".css",
    ".js",
    ".yml",
    ".yaml",
    ".cfg",
    ".ini",
    ".sh",
    "",
)
# Written in pieces, so that this file does not find itself.
REGISTRIES = re.compile(
    "|".join(["py" + r"pi\.org", "python" + "hosted", "registry" + r"\.npmjs", "--index" + "-url"])
)
MACHINES = re.compile(
    "|".join(["/tmp" + "/venv", "/opt" + "/pypi", "/root" + "/", "/work" + "/", "file:" + "///"])
)
LEFT_TO_DO = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")


def own_files() -> list[Path]:
    return [path for path in files(*TEXT) if "vendor" not in path.parts and not path.name.endswith(".min.js")]


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path in own_files()
        for number, line in enumerate(text(path).splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_registry() -> None:
    assert found(REGISTRIES) == []


def test_no_file_names_a_place_on_one_machine() -> None:
    assert found(MACHINES) == []


def test_nothing_is_left_to_do() -> None:
    assert found(LEFT_TO_DO) == []


def test_every_requirement_is_pinned_with_hashes() -> None:
    for name in ("base", "dev"):
        lines = text(Path(f"requirements/{name}.txt")).splitlines()
        pins = [number for number, line in enumerate(lines) if re.match(r"[A-Za-z0-9]", line)]

        assert len(pins) > 50
        assert [lines[pin] for pin in pins if not re.match(r"\S+==\S+( ; .*)? \\$", lines[pin])] == []
        assert [lines[pin] for pin in pins if "--hash=sha256:" not in lines[pin + 1]] == []


def test_the_two_requirement_files_agree() -> None:
    pins = [
        dict(re.findall(r"^([\w.\[\],-]+)==(\S+)", text(Path(f"requirements/{name}.txt")), re.MULTILINE))
        for name in ("base", "dev")
    ]

    assert pins[0].items() <= pins[1].items()
