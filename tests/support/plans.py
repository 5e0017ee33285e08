"""What the database is sent, and how many records a statement looks at, by the database's own account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext


@contextmanager
def sent_statements() -> Iterator[list[str]]:
    """What is sent to the database by this thread, with its parameters in it."""
    found: list[str] = []
    if connection.vendor == "sqlite":
        connection.connection.set_trace_callback(found.append)
        yield found
        connection.connection.set_trace_callback(None)
    else:
        with CaptureQueriesContext(connection) as captured:
            yield found
        found += [query["sql"] for query in captured.captured_queries]


def records_seen(statement: str, many: int) -> int:
    """Records that were looked at, also those that were passed over.

    SQLite counts nothing, but it says when it scans: it is then as if each scan had seen `many`.
    """
    seen = _seen_by_postgres if connection.vendor == "postgresql" else _seen_by_sqlite
    return seen(statement, many)


def _seen_by_sqlite(statement: str, many: int) -> int:
    """0 if every table is searched by an index."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement.replace('%', '%%')}", ())
        steps = [row[3] for row in cursor.fetchall()]
    made = {step.removeprefix("CO-ROUTINE ") for step in steps}  # on the way: they are no tables
    scans = [step for step in steps if step.startswith("SCAN") and step.split()[1] not in made]
    scans = [step for step in scans if "VIRTUAL TABLE" not in step]
    return len([step for step in scans if "SUBQUERY" not in step]) * many


def _seen_by_postgres(statement: str, many: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        (plan,) = cursor.fetchone()
    return _count((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])


def _count(node: dict[str, Any]) -> int:
    below = sum(_count(child) for child in node.get("Plans", ()))
    if "Relation Name" not in node and "Index Name" not in node:
        return below
    seen = (
        node["Actual Rows"]
        + node.get("Rows Removed by Filter", 0)
        + node.get("Rows Removed by Index Recheck", 0)
    )
    return int(below + seen * node["Actual Loops"])
