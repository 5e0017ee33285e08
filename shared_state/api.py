"""The front door: everything that other apps may use of this one."""

from __future__ import annotations

from shared_state.core import clock, database
from shared_state.core.access import (
    granted,
    has_every_verb,
    may,
    principal_of,
    require,
    sees_all,
    verbs,
    visible,
    visible_parts,
)
from shared_state.core.coalesced import Coalesced
from shared_state.core.collector import freeze_startup_objects
from shared_state.core.db_executor import in_thread
from shared_state.core.json_text import MAX_DEPTH, decoded, encoded, fault
from shared_state.core.model_json import Unfit, as_json, fitted, read_as, takes_names
from shared_state.core.same import require_same
from shared_state.core.schema import Collection, CollectionSpec, SharedStateSchema, collections, first_fault
from shared_state.core.types import (
    Event,
    Fence,
    Hint,
    Json,
    NewEvent,
    Principal,
    Provenance,
    Retention,
    Row,
    StreamInfo,
    Versions,
    format_offset,
    parse_offset,
)
from shared_state.exceptions import (
    AccessDenied,
    InvalidOffset,
    InvalidRow,
    KeyReused,
    RowError,
    RowExists,
    RowNotFound,
    SchemaError,
    SchemaMismatch,
    SharedStateError,
    StaleEpoch,
    StreamClosed,
    StreamExists,
    StreamNotFound,
    TooLarge,
    VersionConflict,
)
from shared_state.log import archive, collection, retention, wire
from shared_state.log import stream as committed
from shared_state.log.collection import Changes, StateRow, collections_of
from shared_state.log.counting import count_rows, count_rows_of, how_many
from shared_state.log.draft import Draft
from shared_state.log.ranges import EventRange, read_ranges, written_by_others
from shared_state.log.stream import (
    event_of,
    get_stream,
    get_stream_by_id,
    get_streams,
    heads,
    info_of,
    read,
    read_newest,
    row,
    rows,
    window,
)
from shared_state.write.needs import Needs, Verb, together
from shared_state.write.plan import new_record
from shared_state.write.signals import events_appended
from shared_state.write.statements import moment
from shared_state.write.tables import Lookup, Tables
from shared_state.write.unit import Unit, row_of
from shared_state.write.writer import append, submit, unit

__all__ = [
    "MAX_DEPTH",
    "AccessDenied",
    "Changes",
    "Coalesced",
    "Collection",
    "CollectionSpec",
    "Draft",
    "Event",
    "EventRange",
    "Fence",
    "Hint",
    "InvalidOffset",
    "InvalidRow",
    "Json",
    "KeyReused",
    "Lookup",
    "Needs",
    "NewEvent",
    "Principal",
    "Provenance",
    "Retention",
    "Row",
    "RowError",
    "RowExists",
    "RowNotFound",
    "SchemaError",
    "SchemaMismatch",
    "SharedStateError",
    "SharedStateSchema",
    "StaleEpoch",
    "StateRow",
    "StreamClosed",
    "StreamExists",
    "StreamInfo",
    "StreamNotFound",
    "Tables",
    "TooLarge",
    "Unfit",
    "Unit",
    "Verb",
    "VersionConflict",
    "Versions",
    "append",
    "archive",
    "as_json",
    "clock",
    "collection",
    "collections",
    "collections_of",
    "committed",
    "count_rows",
    "count_rows_of",
    "database",
    "decoded",
    "encoded",
    "event_of",
    "events_appended",
    "fault",
    "first_fault",
    "fitted",
    "format_offset",
    "freeze_startup_objects",
    "get_stream",
    "get_stream_by_id",
    "get_streams",
    "granted",
    "has_every_verb",
    "heads",
    "how_many",
    "in_thread",
    "info_of",
    "may",
    "moment",
    "new_record",
    "parse_offset",
    "principal_of",
    "read",
    "read_as",
    "read_newest",
    "read_ranges",
    "require",
    "require_same",
    "retention",
    "row",
    "row_of",
    "rows",
    "sees_all",
    "submit",
    "takes_names",
    "together",
    "unit",
    "verbs",
    "visible",
    "visible_parts",
    "window",
    "wire",
    "written_by_others",
]
