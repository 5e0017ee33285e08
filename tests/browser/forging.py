"""Events that no shipped agent writes, appended from a process of its own; pages hear of them by the poll."""

import json
from typing import Any

from tests.support.processes import Installation

_APPEND = """
from shared_state.api import NewEvent, Provenance, get_stream, unit
stream = get_stream({path!r})
event = NewEvent({type!r}, {key!r}, {value!r}, {operation!r}, keep_old=True)
unit(lambda u: u.append(stream.id, [event]), provenance=Provenance(*{provenance!r}))
"""


_APPEND_ALL = """
import json, sys
from shared_state.api import NewEvent, Provenance, get_stream, unit
stream, provenance = get_stream({path!r}), Provenance("agent:" + {path!r}, "", "1.0", "")
for type, key, value, operation in json.loads({events!r}):
    event = NewEvent(type, key, value, operation)
    unit(lambda u: u.append(stream.id, [event]), provenance=provenance)
"""


def append_all(site: Installation, path: str, events: list[tuple[str, str, dict[str, Any], str]]) -> None:
    """Append events to the log of an agent, one by one: type, key, value, operation."""
    code = _APPEND_ALL.format(path=path, events=json.dumps(events))
    site.manage("shell", "--no-imports", "-c", code)


def append(site: Installation, path: str, operation: str, type: str, key: str, value: dict[str, Any]) -> None:
    """Append an event to the log of an agent, as if it had written it in its first run."""
    _run(site, path, operation, type, key, value, (f"agent:{path}", "", "1.0", ""))


def change(
    site: Installation, shared: str, key: str, value: dict[str, Any], provenance: tuple[str, ...]
) -> None:
    """Update an argument of a debate's shared state."""
    _run(site, shared, "update", "shared:argument", key, value, provenance)


def _run(
    site: Installation,
    path: str,
    operation: str,
    type: str,
    key: str,
    value: dict[str, Any],
    provenance: tuple[str, ...],
) -> None:
    code = _APPEND.format(
        path=path, operation=operation, type=type, key=key, value=value, provenance=provenance
    )
    site.manage("shell", "--no-imports", "-c", code)
