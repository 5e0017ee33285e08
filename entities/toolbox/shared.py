"""Tools made from a shared state's schema: one set for each collection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from entities.context import SharedState, StateCollection
from entities.types.tool import Tool

Mode = Literal["full", "write-only"]


class _Anything(BaseModel):
    """The collection's own schema judges the row; a tool only passes it on."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, slots=True)
class RowTool(Tool):
    """A tool whose arguments are a row."""

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as they are; the collection refuses what does not fit, naming the field."""
        return dict(arguments)


def shared_tools(shared: SharedState, mode: Mode = "full") -> list[Tool]:
    """`write_<c>` for each collection; in mode `full` also `read_<c>`, `update_<c>` and `delete_<c>`.

    They are safe to retry: a row and the call's result are one transaction.
    """
    tools: list[Tool] = []
    for name in shared:
        collection: StateCollection = shared[name]
        tools.append(_write(name, collection))
        if mode == "full":
            tools += [_read(name, collection), _update(name, collection), _delete(name, collection)]
    return tools


def _tool(name: str, description: str, parameters: dict[str, Any], function: Any) -> Tool:
    return RowTool(name, description, parameters, function, _Anything, retry_safe=True)


def _row_schema(collection: StateCollection) -> dict[str, Any]:
    key = collection.spec.primary_key
    fallback = {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}
    return dict(collection.spec.json_schema or fallback)


def _write(name: str, collection: StateCollection) -> Tool:
    async def write(**row: Any) -> str:
        written = await collection.insert(row)
        return f"Wrote {name} {written[collection.spec.primary_key]}."

    key = collection.spec.primary_key
    return _tool(
        f"write_{name}", f"Add a row to the shared collection {name}. Its {key} must be new.",
        _row_schema(collection), write,
    )  # fmt: skip


def _read(name: str, collection: StateCollection) -> Tool:
    async def read(key: str | None = None) -> str:
        if key is not None:
            row = await collection.get(key)
            return json.dumps(row, ensure_ascii=False) if row else f"There is no {name} {key!r}."
        return json.dumps(await collection.all(), ensure_ascii=False)

    parameters = {
        "type": "object",
        "properties": {
            "key": {"type": "string", "description": "The row to read; leave it out to read all."}
        },
    }
    return _tool(f"read_{name}", f"Read the shared collection {name}.", parameters, read)


def _update(name: str, collection: StateCollection) -> Tool:
    schema, key = _row_schema(collection), collection.spec.primary_key

    async def update(**changes: Any) -> str:
        await collection.update(str(changes.pop(key, "")), changes)
        return f"Updated {name}."

    parameters = {**schema, "required": [key]}
    return _tool(f"update_{name}", f"Change fields of a row of {name}, by its {key}.", parameters, update)


def _delete(name: str, collection: StateCollection) -> Tool:
    key = collection.spec.primary_key

    async def delete(**which: Any) -> str:
        await collection.delete(str(which.get(key, "")))
        return f"Deleted {name} {which.get(key)}."

    parameters = {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}
    return _tool(f"delete_{name}", f"Delete a row of {name} by its {key}.", parameters, delete)
