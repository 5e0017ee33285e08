"""The values that streams are made of, in plain Python: no Django, nothing that changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shared_state.exceptions import InvalidOffset

Operation = Literal["insert", "update", "delete", "upsert"]
"""`upsert` is what a caller may ask for; the log holds only the other three."""

Json = dict[str, Any]

_OFFSET = re.compile(r"[0-9]{16}_[0-9]{16}")
_HIGH = 10**16
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def holds_nul(data: bytes) -> bool:
    """Whether a JSON text holds a NUL character, which PostgreSQL stores in no text.

    >>> holds_nul(b'{"a": "x\\\\u0000"}'), holds_nul(b'{"a": "x\\\\\\\\u0000"}')
    (True, False)
    """
    return b"\\u0000" in data and _NUL.search(data) is not None


def is_storable(text: str) -> bool:
    """Whether both databases keep a text: no NUL is in it, and no half of a surrogate pair.

    >>> is_storable("a"), is_storable("a\\0"), is_storable("\\ud800")
    (True, False, False)
    """
    if "\0" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def is_name(text: Any, most: int = 255) -> bool:
    """Whether a text can be a name: 1 to `most` characters, none of them a control or half of a pair.

    >>> is_name("a b"), is_name("a\\n"), is_name(" a"), is_name(""), is_name(1)
    (True, False, False, False, False)
    """
    return isinstance(text, str) and 0 < len(text) <= most and text.isprintable() and text == text.strip()


def format_offset(offset: int) -> str:
    """The opaque, bytewise ordered form that leaves the process; 0 is the beginning."""
    return f"{offset // _HIGH:016d}_{offset % _HIGH:016d}"


def parse_offset(text: str) -> int:
    """The number behind an opaque offset. Raises `InvalidOffset`."""
    if not isinstance(text, str) or not _OFFSET.fullmatch(text):
        raise InvalidOffset(f"{text!r} is not an offset: sixteen digits, an underscore, sixteen digits.")
    high, low = text.split("_")
    return int(high) * _HIGH + int(low)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: `user:ada`, `agent:/debate/1`, `service:ci`, `system:scheduler`.

    `staff` is set only from a signed-in session, never parsed from text.
    """

    kind: str
    name: str
    staff: bool = False

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Principal:
        """Read `kind:name`. Raises `ValueError` for anything else: no identity, no rights."""
        kind, colon, name = text.partition(":")
        if not colon or not name or kind not in {"user", "agent", "service", "system"}:
            raise ValueError(f"{text!r} is not a principal; expected user:, agent:, service: or system:name.")
        return cls(kind, name)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a change comes from: the provenance that every event and row carries.

    `wake`, `run` and `tool_call` are keys in the writer's own log; empty when they do not apply.
    """

    writer: str
    wake: str = ""
    run: str = ""
    tool_call: str = ""


@dataclass(frozen=True, slots=True)
class Fence:
    """A right to write that ends with a lease: `stream` must still be at `epoch`."""

    stream: int
    epoch: int


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact to append. `fold=False` keeps it out of the rows (a text delta).

    `client_key` makes the append repeatable: the second one with the same key in the same stream changes
    nothing and answers with the first one's event. `expect_version` is the offset of the row's last change.
    """

    type: str
    key: str
    value: Json | None
    operation: Operation = "insert"
    client_key: str = ""
    expect_version: int | None = None
    fold: bool = True
    keep_old: bool = False
    """Store the value that this one replaces, so that pages can say what changed."""


@dataclass(frozen=True, slots=True)
class Event:
    """A fact at an offset. `value` is the whole row after an insert or update, and before a delete."""

    stream: int
    offset: int
    type: str
    key: str
    operation: str
    value: Json
    timestamp: datetime
    provenance: Provenance
    old: Json | None = None
    repeated: bool = False
    """True if this append was the repetition of an earlier one: nothing was written now."""

    def wire(self) -> Json:
        """The JSON form of `spec.md`, section 4."""
        headers: Json = {
            "operation": self.operation,
            "offset": format_offset(self.offset),
            "timestamp": self.timestamp.isoformat(),
            # What one unit wrote has one time, in microseconds; so has what the writer commits at once.
            "txid": f"{round(self.timestamp.timestamp() * 1_000_000)}",
            "writer": self.provenance.writer,
        }
        for name in ("wake", "run", "tool_call"):
            if found := getattr(self.provenance, name):
                headers[name] = found
        if self.old is not None:
            headers["old_value"] = self.old
        return {"type": self.type, "key": self.key, "value": self.value, "headers": headers}


@dataclass(frozen=True, slots=True)
class Row:
    """The folded state of one key: its value, who wrote it last, and since which offset it is there."""

    stream: int
    type: str
    key: str
    value: Json
    created: int
    version: int
    created_at: datetime
    updated_at: datetime
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream as a unit sees it. `root` is the topmost stream of its family (itself if it is on top)."""

    id: int
    path: str
    kind: str
    owner: str
    root: int | None
    head: int
    epoch: int
    closed: bool
    observed: bool
    schema: Json


@dataclass(frozen=True, slots=True)
class Hint:
    """What is said after a commit: this stream moved to this head. Only a hint: readers hold cursors."""

    stream: int
    head: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Retention: events of this type are kept as long as the part of the log that they stand in."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Retention: of the events of a row only the newest is kept, once its `status` is one of `over`.

    `None`: whatever its status is.
    """

    over: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Pieces:
    """Retention: pieces of a row of the type `of`, whose key is in their `field`.

    They go once that row's `status` is one of `over`: it holds the whole by then.
    """

    of: str
    field: str
    over: frozenset[str]


KEPT = Kept()
Retention = Kept | Versions | Pieces
"""What becomes of the events of a type in the long run."""
