"""A unit: one function's worth of change, done entirely or not at all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared_state.core.types import Event, Json, NewEvent, Provenance, Row, StreamInfo, is_name
from shared_state.exceptions import SharedStateError, StreamExists
from shared_state.models import RowRecord, Stream
from shared_state.write.fitting import check
from shared_state.write.sql import ClientKey, RowKey
from shared_state.write.streams import Streams
from shared_state.write.tables import Tables
from shared_state.write.write_set import WriteSet

LastWork = Callable[[Sequence[tuple["Unit", Any]]], None]
"""Called with what was left for it, each with the unit that left it."""
_CHANGEABLE = frozenset({"epoch", "observed", "closed", "schema"})
_PATH_LENGTH = 255


class Unit:
    """What a unit function gets. It runs in the writer's thread and transaction, or in its caller's.

    The ORM may be used freely for other tables, but not in a `Verb`; events and rows only through here, and
    what `tables` has found is written by nothing else. A unit function may run more than once (after a lost
    race, or to find out what would happen), so it must change nothing but the database. Whatever reads a
    stream or its rows here keeps other processes from changing them meanwhile.
    """

    def __init__(self, write_set: WriteSet, provenance: Provenance) -> None:
        self._write_set = write_set
        self.provenance = provenance
        self.nudges: list[str] = []
        """What to tell other processes' workers after the commit; see `bus`."""
        self.postponed: dict[tuple[LastWork, Hashable], Any] = {}
        """What is left for the end of the transaction; see `later`."""

    @property
    def now(self) -> datetime:
        """The time of this unit, UTC."""
        return self._write_set.now

    @property
    def tables(self) -> Tables:
        """Records beside events and rows: found, added, changed and deleted in bulk with those of others."""
        return self._write_set.tables

    @property
    def streams(self) -> Streams:
        """The streams that this transaction holds."""
        return self._write_set.streams

    def prefetch(
        self, streams: Iterable[int], rows: Iterable[RowKey] = (), keys: Iterable[ClientKey] = ()
    ) -> None:
        """Lock streams that everybody locks last, in order of id, and read rows and repeats of theirs.

        For streams that are held it only reads, all at once.
        """
        self._write_set.streams.lock(streams)
        self._write_set.ask(rows, keys)

    def flush(self) -> None:
        """Write what is in memory, before statements of one's own read it. Not within a `Verb`."""
        self._write_set.flush()

    def stream(self, stream: int) -> StreamInfo:
        """A stream as of now. Raises `StreamNotFound`."""
        return self.streams.info(stream)

    def append(
        self, stream: int, events: Sequence[NewEvent], *,
        provenance: Provenance | None = None, fresh: bool = False,
    ) -> list[Event]:  # fmt: skip
        """Append events and fold them into rows: all of them, or none.

        `fresh` says that their keys were made up for them at random, so that nobody can have used them
        before: neither rows nor repeats are looked for. Raises `StreamNotFound`, `StreamClosed`, `TooLarge`
        and `RowError`.
        """
        check(events, provenance or self.provenance)
        if fresh:
            self._write_set.know_new(stream, events)
        return self._write_set.append(stream, events, provenance or self.provenance)

    def repeated(self, stream: int, client_key: str) -> Event | None:
        """What an append with this client key would answer, if there was one already."""
        return self._write_set.repeated(stream, client_key)

    def row(self, stream: int, type: str, key: str) -> Row | None:
        """One row, with what this unit did to it."""
        return self._write_set.row(stream, type, key)

    def rows(self, stream: int, type: str) -> list[Row]:
        """All rows of a type in order of creation, with what this unit did to them."""
        self.streams.info(stream)
        self._write_set.flush()
        found = RowRecord.objects.filter(stream=stream, type=type).order_by("created")
        return [row_of(record) for record in found]

    def rows_between(self, stream: int, type: str, first: int, last: int) -> list[Row]:
        """Rows of a type that came to be from offset `first` to `last` (exclusive), oldest first."""
        return self._write_set.rows_between((stream, type, first, last))

    def create_stream(
        self, path: str, kind: str, owner: str, *, root: int | None = None, schema: Json | None = None
    ) -> StreamInfo:
        """Make a stream. Raises `StreamExists`."""
        if not 0 < len(path) <= _PATH_LENGTH:
            raise SharedStateError(
                f"A stream's path is 1 to {_PATH_LENGTH} characters long, not {len(path)}."
            )
        if not is_name(path, _PATH_LENGTH):
            raise SharedStateError(
                f"{path!r} cannot be a stream's path: no line breaks or other controls, no spaces around it."
            )
        if self.streams.at(path) is not None:
            raise StreamExists(f"There is a stream at {path!r} already.")
        ident = self._write_set.tables.new_id(Stream)
        info = StreamInfo(ident, path, kind, owner, root, 0, 0, False, False, schema or {})
        self.streams.make(info)
        self._show()
        return info

    def change_stream(self, stream: int, **fields: Any) -> StreamInfo:
        """Set `epoch`, `observed`, `closed` or `schema` of a stream. Raises `StreamNotFound`."""
        if strangers := fields.keys() - _CHANGEABLE:
            raise TypeError(f"A stream's {', '.join(sorted(strangers))} cannot be changed here.")
        info = replace(self.streams.info(stream), **fields)
        self.streams.alter(info)
        self._show()
        return info

    def _show(self) -> None:
        """Let the ORM see streams as they are now, where it may be used."""
        if not self.streams.whole:
            self._write_set.flush()

    def later(self, work: LastWork, key: Hashable, value: Any) -> None:
        """Have `work` called once at the end of the transaction with all that its units left for it.

        What was left last under a key counts. For a stream that many units append to: so it is locked after
        everything else, and no longer than a commit takes. A unit that fails leaves nothing; if `work` fails,
        so does the transaction. What `work` appends wakes no observer. In a caller's transaction it is done
        at the end of this unit, and undoes this unit alone if it fails.
        """
        self.postponed[work, key] = value

    def nudge(self, text: str) -> None:
        """Tell workers something after the commit, such as `wake`. Only a hint."""
        if text not in self.nudges:
            self.nudges.append(text)


def row_of(record: RowRecord) -> Row:
    """The value behind a model instance."""
    return Row(
        record.stream_id, record.type, record.key, record.value, record.created, record.version,
        record.created_at, record.updated_at,
        Provenance(record.writer, record.wake, record.run, record.tool_call),
    )  # fmt: skip
