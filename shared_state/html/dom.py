"""Names for the parts of a page: one way to make a DOM id out of any key, used by pages, pushes and links.

Keys may hold anything that JSON can carry; ids must survive in HTML attributes, in `#fragments` and in
`getElementById`. The mapping is injective: two keys never share an id. No Django here.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_UNSAFE_OR_DASH = re.compile(r"[^A-Za-z0-9.]")


def dom_id(kind: str, *parts: object) -> str:
    """The id of a thing: its kind, then what tells it from others of the kind, joined by dashes.

    >>> dom_id("msg", "5f0c-1")
    'msg-5f0c-1'
    >>> dom_id("agent", "/worker/x")
    'agent-_2f_worker_2f_x'
    >>> dom_id("row", "shared:argument", "a1")
    'row-shared_3a_argument-a1'
    """
    *leading, last = (str(part) for part in parts)
    # A dash in the last part is unambiguous; in an earlier one it would look like the joint.
    return "-".join([kind, *(_escaped(_UNSAFE_OR_DASH, part) for part in leading), _escaped(_UNSAFE, last)])


def _escaped(unsafe: re.Pattern[str], text: str) -> str:
    """Every other character as `_hex_`; the underscore itself is one of them."""
    return unsafe.sub(lambda found: f"_{ord(found[0]):x}_", text)


def parse_dom_id(text: str) -> tuple[str, str]:
    """Kind and key of an id with one part. Raises `ValueError` for what is no id of ours.

    >>> parse_dom_id("tool-3.0-s1-c0")
    ('tool', '3.0-s1-c0')
    """
    kind, dash, rest = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is not an id of an element.")
    return kind, re.sub(r"_([0-9a-f]{1,6})_", lambda found: chr(int(found[1], 16)), rest)
