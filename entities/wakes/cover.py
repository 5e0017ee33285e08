"""How much of a log one wake covers: no more than its handler and its model are shown."""

from __future__ import annotations

from typing import NamedTuple

from entities.models import Entity, Wake
from shared_state.api import Unit, database
from shared_state.models import RowRecord

MOST_MESSAGES = 100
"""How many messages one wake covers; further ones have a wake of their own, which comes next."""
MOST_LENGTH = 256 * 1024
"""How many characters of JSON they have together, unless the first alone has more."""
FEW_MESSAGES = 4
"""So many need no looking at: they are within the bounds, or little beyond."""

_WAITING = (
    f"SELECT created, length(CAST(value AS text)) FROM {RowRecord._meta.db_table} "  # noqa: S608  the name is ours
    "WHERE stream_id = %s AND type = 'inbox' AND created >= %s AND created < %s ORDER BY created LIMIT %s"
)


class Beyond(NamedTuple):
    """The first message that a wake does not cover."""

    offset: int
    sender: str


def covered(unit: Unit, wake: Wake, entity: Entity) -> tuple[int, Beyond | None]:
    """Where a wake's range ends, and the first message beyond it, if not all that wait are for it.

    What a wake covers counts as handled with it, so that is no more than its handler and its model can read.
    """
    end = unit.stream(entity.stream_id).head + 1
    if wake.reason != Wake.Reason.INBOX or end - wake.from_offset <= FEW_MESSAGES:
        return end, None
    size = 0
    with database.connection().cursor() as cursor:
        cursor.execute(_WAITING, [entity.stream_id, wake.from_offset, end, MOST_MESSAGES + 1])
        found = cursor.fetchall()
    for number, (offset, length) in enumerate(found):
        size += length
        if number and (number == MOST_MESSAGES or size > MOST_LENGTH):
            [message] = unit.rows_between(entity.stream_id, "inbox", offset, offset + 1)
            return offset, Beyond(offset, str(message.value["from"]))
    return end, None
