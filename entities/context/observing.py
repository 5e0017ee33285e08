"""What an entity observes: its sources, the conditions on them, and the change that asks for both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entities.catalog import log
from entities.context.session import Operation
from entities.context.state import StreamRef
from entities.exceptions import EntityNotFound, InvalidInput
from entities.lookups import OBSERVERS
from entities.models import Entity, Subscription
from entities.models.subscription import narrowing_of
from entities.wakes import wake
from entities.wakes.sources import Change, Condition, DbSource, EntitySource, RunFinished, milliseconds
from shared_state.api import (
    CollectionSpec,
    Draft,
    Json,
    Needs,
    StreamInfo,
    StreamNotFound,
    Unit,
    Verb,
    is_storable,
)
from shared_state.models import RowRecord


def require_source(source: Any) -> None:
    """Raise `InvalidInput` for no source, `EntityNotFound` and `StreamNotFound` for nobody's address."""
    if not isinstance(source, EntitySource | DbSource):
        raise InvalidInput(f"{source!r:.200} is no source; use entity(url) or db(id).")
    if isinstance(source, EntitySource):
        require_url(source.url)
    elif not isinstance(source.id, str) or not is_storable(source.id):
        raise StreamNotFound(f"There is no shared state {source.id!r:.200}; mkdb makes one.")


def require_url(url: Any) -> None:
    """Raise `EntityNotFound` for what can be nobody's address."""
    if not isinstance(url, str) or not is_storable(url):
        raise EntityNotFound(f"There is no agent at {url!r:.200}.")


def place_of(source: EntitySource | DbSource) -> str:
    """The path of a source's stream."""
    return source.url if isinstance(source, EntitySource) else source.path


def is_observed(reader: Any, me: Entity, stream: int, where: str, wanted: Json | None) -> bool:
    """Whether asking would change nothing: a handler may ask at every wake for the price of a read."""
    if isinstance(reader, Draft):
        return False  # something is staged: the change itself finds out
    manifest = RowRecord.objects.filter(stream=me.stream_id, type="manifest", key=f"source:{where}")
    if not manifest.exists():
        return False
    if wanted is None:
        return True
    if wanted.get("timeout_ms") is not None:
        return False
    known = Subscription.objects.filter(
        observer=me, source=stream, kind=wanted["kind"], narrowing=wanted["narrowing"]
    )
    return bool(known.values(*wanted).first() == wanted)


def subscribed_streams(me: Entity, where: str) -> list[int]:
    """The streams that an entity has conditions on by a path. Reads what is committed."""
    found = Subscription.objects.filter(observer=me, source_url=where).values_list("source_id", flat=True)
    return sorted(set(found))


def agreed(source: EntitySource | DbSource, stream: StreamInfo) -> Json:
    """The schema that a stream has once it is observed so. Raises `SchemaMismatch`."""
    if not isinstance(source, DbSource) or source.schema is None:
        return stream.schema
    return source.schema.agreed(stream.schema, f"Shared state {source.id!r}")


def observing(
    me: Entity, source_stream: StreamRef, source: EntitySource | DbSource, wanted: Json | None
) -> Operation:
    """The change that notes a source in the entity's log and subscribes, given a condition's columns."""
    where = place_of(source)
    entry: Json = {
        "kind": "source",
        "source": "db" if isinstance(source, DbSource) else "entity",
        "url": where,
    }

    def run(unit: Unit) -> None:
        known = unit.row(me.stream_id, "manifest", f"source:{where}")
        if known is None or not entry.items() <= known.value.items():
            unit.append(me.stream_id, [log.new("manifest", f"source:{where}", entry, "upsert")])
        there = unit.stream(source_stream.within(unit))
        if (schema := agreed(source, there)) != there.schema:
            unit.change_stream(there.id, schema=schema)
        if wanted is not None:
            subscribe(unit, me, there.id, where, wanted)

    needs = Needs((me.stream_id,), rows=((me.stream_id, "manifest", f"source:{where}"),))
    return Verb(run, needs + source_stream.needs)


def subscribe(unit: Unit, me: Entity, stream: int, where: str, wanted: Json) -> None:
    """Within a unit: one more condition, or other times for one that watches the same rows."""
    observed = unit.stream(stream).observed
    same = (me.pk, wanted["kind"], wanted["narrowing"])
    listening = unit.tables.find(OBSERVERS, stream) if observed else []
    known = next((each for each in listening if (each.observer_id, each.kind, each.narrowing) == same), None)
    if known is None:
        known = unit.tables.add(
            Subscription(observer_id=me.pk, source_id=stream, source_url=where, created_at=unit.now, **wanted)
        )
    else:
        unit.tables.change(known, source_url=where, **wanted)
    if not observed:
        unit.change_stream(stream, observed=True)
    wake.arm_timeout(unit, known)


def columns_of(condition: Condition, known: Mapping[str, CollectionSpec]) -> dict[str, Any]:
    """A condition as a subscription stores it. Raises `InvalidInput`."""
    if isinstance(condition, RunFinished):
        return {
            "kind": Subscription.Kind.RUN_FINISHED, "narrowing": "",
            "include_response": condition.include_response,
        }  # fmt: skip
    if not isinstance(condition, Change):
        raise InvalidInput(f"{condition!r} is not a condition; use RunFinished(…) or Change(…).")
    types = condition.types(known)
    operations = condition.operations
    return {
        "kind": Subscription.Kind.CHANGE,
        "types": types,
        "operations": operations,
        "narrowing": narrowing_of(types, operations),
        "debounce_ms": milliseconds(condition.debounce) or 0,
        "timeout_ms": milliseconds(condition.timeout),
    }
