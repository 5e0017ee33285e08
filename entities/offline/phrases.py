"""Reads the prose of the offline model: TOML files in `texts/`, where one can edit it without the code."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "texts"


@cache
def texts(name: str) -> dict[str, Any]:
    """The file of that name. Lines are joined to paragraphs; an empty line separates two of them."""
    loaded: dict[str, Any] = _folded(tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8")))
    return loaded


def _folded(value: Any) -> Any:
    if isinstance(value, dict):
        # What is code or markdown keeps its lines.
        return {key: each if key == "verbatim" else _folded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_folded(each) for each in value]
    if isinstance(value, str):
        return "\n\n".join(" ".join(part.split()) for part in value.split("\n\n"))
    return value
