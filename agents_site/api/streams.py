"""Reading a log after a cursor, and writing rows of collections that are open to the outside."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents_site.api.errors import ApiError
from agents_site.api.http import Answer, Call, Streamed
from agents_site.api.log_body import LogBody, Wanted, takes_gzip
from entities.models import EntityType
from shared_state import api
from shared_state.api import CollectionSpec, Json, Provenance, StreamInfo, Unit, in_thread
from shared_state.models import Stream

MOST_BYTES = 16 * 1024 * 1024
"""An answer ends with the event that reaches this. No more than a page of it is held at once."""


# -- reading


async def read_stream(call: Call) -> Streamed:
    """`GET /api/streams/{path}?after=&limit=&types=&format=`: events after a cursor, and the next cursor."""
    wanted = Wanted.of(call.request.GET)
    gzip = takes_gzip(call.request.headers.get("accept-encoding", ""))
    body, first = await in_thread(_begin, call, wanted, gzip)
    return Streamed(body.pieces(first), body.headers, bodiless=call.request.method == "HEAD")


def _begin(call: Call, wanted: Wanted, gzip: bool) -> tuple[LogBody, bytes]:
    body = LogBody(readable(call), wanted, MOST_BYTES, gzip)
    return body, body.piece()


def readable(call: Call) -> StreamInfo:
    """The stream of the address. Raises `StreamNotFound`, in the same words, also if it may not be read."""
    path = stream_path(call.path["path"])
    try:
        stream = api.get_stream(path)
    except api.StreamNotFound:
        raise api.StreamNotFound from None
    if not api.may(call.principal, "read", stream):
        raise api.StreamNotFound
    return stream


def stream_path(path: str) -> str:
    """The path of a stream as addresses write it: `debate/1` for `/debate/1`, `shared:notes` as it is."""
    return path if ":" in path.partition("/")[0] else f"/{path}"


# -- writing


class RowBody(BaseModel):
    """`row` is the whole row for an insert, the changed fields for an update."""

    model_config = ConfigDict(extra="forbid")

    operation: Literal["insert", "update", "delete"] = "insert"
    key: Annotated[str, Field(max_length=255, pattern=r"^[^\x00]+$")] | int | None = None
    row: dict[str, Any] = {}
    expect_version: str | None = None
    client_key: str = Field(default="", max_length=64, pattern=r"^[^\x00]*$")


async def write_row(call: Call) -> Answer:
    """`POST /api/streams/{path}/rows/{collection}`: insert, update or delete one row."""
    body = call.parsed(RowBody)
    if body.operation != "insert" and body.key is None:
        raise ApiError(400, "invalid_body", f"key: needed for {body.operation}.")
    stream, spec = await in_thread(_writable, call, body.operation)
    result = await api.submit(
        lambda unit: _write(unit, call, stream, spec, body), provenance=Provenance(str(call.principal))
    )
    return Answer(result, 201 if body.operation == "insert" else 200)


def _writable(call: Call, operation: str) -> tuple[StreamInfo, CollectionSpec]:
    """The collection. Raises `ApiError` 404 if there is none, 403 if it is not open to that."""
    stream = readable(call)
    api.require(call.principal, "write", stream)
    spec = collections_of(stream).get(call.path["collection"])
    if spec is None:
        raise ApiError(404, "collection_not_found", f"There is no collection {call.path['collection']!r}.")
    if not spec.externally_writable:
        raise ApiError(403, "not_writable", f"{spec.name} is written by agents only.")
    if operation not in spec.operations:
        allowed = ", ".join(spec.operations)
        raise ApiError(403, "operation_not_allowed", f"{spec.name} allows {allowed}, not {operation}.")
    return stream, spec


def collections_of(stream: StreamInfo) -> dict[str, CollectionSpec]:
    """The collections of a shared state, or of an agent's own state, which its type declares."""
    if stream.kind != Stream.Kind.ENTITY:
        return api.collections(stream.schema)
    declared = EntityType.objects.filter(name=stream.path.split("/")[1]).values_list(
        "state_schemas", flat=True
    )
    return api.collections(declared.first() or {})


def _write(unit: Unit, call: Call, stream: StreamInfo, spec: CollectionSpec, body: RowBody) -> Json:
    # A key is its sender's own: nobody can use up somebody else's.
    key = f"api:{call.principal}:{body.client_key}" if body.client_key else ""
    version = None if body.expect_version is None else api.parse_offset(body.expect_version)
    if body.operation == "delete":
        api.collection.delete(unit, stream.id, spec, str(body.key), expect_version=version, client_key=key)
        return {"collection": spec.name, "key": str(body.key), "deleted": True}
    if body.operation == "insert":
        row = api.collection.insert(unit, stream.id, spec, body.row, client_key=key)
    else:
        row = api.collection.update(
            unit, stream.id, spec, str(body.key), body.row, expect_version=version, client_key=key
        )
    return {
        "collection": spec.name, "key": spec.key_of(row), "value": dict(row),
        "version": api.format_offset(row.version), "writer": row.writer,
    }  # fmt: skip
