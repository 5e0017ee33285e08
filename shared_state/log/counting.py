"""How many rows there are of each type, counted up to a bound: a page need not read a million to say so."""

from __future__ import annotations

from collections.abc import Collection

from shared_state.core import database
from shared_state.models import RowRecord, Stream

COUNTED = 10_000
"""Up to how many rows of a type are counted."""
TYPES = 200
"""How many types of a stream are counted at the most."""

# From type to type by the index, whatever lies between; counted in order, or PostgreSQL might walk the table.
_COUNT = """\
WITH RECURSIVE found(stream, type, number) AS (
    SELECT s.id, (SELECT min(r.type) FROM {rows} r WHERE r.stream_id = s.id), 1
    FROM {streams} s WHERE s.id IN ({ids})
  UNION ALL
    SELECT
        found.stream,
        (SELECT min(r.type) FROM {rows} r WHERE r.stream_id = found.stream AND r.type > found.type),
        found.number + 1
    FROM found WHERE found.type IS NOT NULL AND found.number < %s
)
SELECT found.stream, found.type, (
    SELECT count(*) FROM (
        SELECT 1 FROM {rows} r WHERE r.stream_id = found.stream AND r.type = found.type
        ORDER BY r.created LIMIT %s
    ) AS counted
)
FROM found WHERE found.type IS NOT NULL ORDER BY found.stream, found.type
"""


def count_rows(stream: int, most: int = COUNTED) -> dict[str, int]:
    """How many rows of each type there are; `most` + 1 stands for more than `most`."""
    return count_rows_of([stream], most).get(stream, {})


def count_rows_of(streams: Collection[int], most: int = COUNTED) -> dict[int, dict[str, int]]:
    """The same for many streams, in one query. A stream without rows is not in the answer."""
    if not streams:
        return {}
    sql = _COUNT.format(
        rows=RowRecord._meta.db_table,
        streams=Stream._meta.db_table,
        ids=", ".join(["%s"] * len(streams)),
    )
    counts: dict[int, dict[str, int]] = {}
    with database.connection().cursor() as cursor:
        cursor.execute(sql, [*streams, TYPES, most + 1])
        for stream, type, count in cursor.fetchall():
            counts.setdefault(stream, {})[type] = count
    return counts


def how_many(count: int, most: int = COUNTED) -> str:
    """A number that was counted so, as pages show it.

    >>> how_many(460), how_many(10_001)
    ('460', '10,000+')
    """
    return str(count) if count <= most else f"{most:,}+"
