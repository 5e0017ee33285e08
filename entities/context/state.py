"""Rows as a handler sees them: awaited, validated, no cache; what you read is what is committed or yours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from entities.catalog.events import COLLECTIONS
from entities.context.session import Session
from shared_state.api import Changes, CollectionSpec, Json, StateRow, Unit, collection, get_stream


class StreamRef:
    """Which stream a handle is about.

    One that was made inside `atomic` has no id to rely on before the commit: what is rehearsed is undone and
    done again. Then the path is what counts. Read `id` where the database may be used.
    """

    def __init__(self, session: Session, id: int, path: str) -> None:
        self._known = id
        self._path = path if session.scope.atomic else ""

    @property
    def id(self) -> int:
        """The stream's id now."""
        return get_stream(self._path).id if self._path else self._known


class ReadOnlyCollection:
    """A collection of one stream, to be read."""

    def __init__(self, session: Session, stream: StreamRef, spec: CollectionSpec) -> None:
        self._session = session
        self._stream = stream
        self.spec = spec

    async def get(self, key: str) -> StateRow | None:
        """The row with a key, or `None`."""
        found = await self._session.read(lambda r: r.row(self._stream.id, self.spec.type, str(key)))
        return StateRow(found) if found else None

    async def all(self) -> list[StateRow]:
        """All rows, in order of creation."""
        found = await self._session.read(lambda r: r.rows(self._stream.id, self.spec.type))
        return [StateRow(row) for row in found]

    async def filter(self, **fields: Any) -> list[StateRow]:
        """The rows whose fields equal these values."""
        return [row for row in await self.all() if all(row.get(k) == v for k, v in fields.items())]

    async def count(self) -> int:
        """How many rows there are."""
        return len(await self.all())


class StateCollection(ReadOnlyCollection):
    """A collection that may be written too. Rows are checked against its schema before anything happens."""

    async def insert(self, row: Mapping[str, Any] | BaseModel | None = None, **fields: Any) -> StateRow:
        """Add a row. Raises `InvalidRow`, `RowExists`."""
        value = _whole(row, fields)
        key = self._name("insert", value)
        return await self._session.change(
            lambda unit: collection.insert(unit, self._stream.id, self.spec, value, client_key=key)
        )

    async def upsert(self, row: Mapping[str, Any] | BaseModel | None = None, **fields: Any) -> StateRow:
        """Add a row, or replace the one with its key. Raises `InvalidRow`."""
        value = _whole(row, fields)
        key = self._name("upsert", value)
        return await self._session.change(
            lambda unit: collection.upsert(unit, self._stream.id, self.spec, value, client_key=key)
        )

    async def update(
        self, key: str, change: Changes | None = None, *, expect_version: int | None = None, **changes: Any
    ) -> StateRow:
        """Change fields, or the whole row by a function of a copy.

        `expect_version` refuses if the row changed since you read it: `VersionConflict` carries what it is.
        """
        given: Changes = change if change is not None else changes
        client_key = self._session.key(f"update:{self.spec.type}:{key}")

        def operation(unit: Unit) -> StateRow:
            return collection.update(
                unit, self._stream.id, self.spec, str(key), given,
                expect_version=expect_version, client_key=client_key,
            )  # fmt: skip

        return await self._session.change(operation)

    async def delete(self, key: str, *, expect_version: int | None = None) -> None:
        """Remove a row. Raises `RowNotFound`, `VersionConflict`."""
        client_key = self._session.key(f"delete:{self.spec.type}:{key}")

        def operation(unit: Unit) -> None:
            collection.delete(
                unit,
                self._stream.id,
                self.spec,
                str(key),
                expect_version=expect_version,
                client_key=client_key,
            )

        await self._session.change(operation)

    def _name(self, verb: str, value: Json) -> str:
        return self._session.key(f"{verb}:{self.spec.type}:{value.get(self.spec.primary_key)}")


class Collections:
    """Collections by attribute: `ctx.state.items`, `shared.arguments`, `ctx.db.collections.runs`."""

    def __init__(self, found: Mapping[str, ReadOnlyCollection], where: str) -> None:
        self._found = dict(found)
        self._where = where

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_found"][name]
        except KeyError:
            there = ", ".join(sorted(self.__dict__.get("_found", {}))) or "none"
            raise AttributeError(
                f"{self.__dict__.get('_where')} has no collection {name!r}; it has {there}."
            ) from None

    def __getitem__(self, name: str) -> Any:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)


class SharedState(Collections):
    """A shared state that was made or observed: its collections, to be read and written."""

    def __init__(
        self, session: Session, id: str, stream: StreamRef, specs: Mapping[str, CollectionSpec]
    ) -> None:
        super().__init__(
            {name: StateCollection(session, stream, spec) for name, spec in specs.items()},
            f"shared state {id}",
        )
        self.id = id


class EntityDb:
    """An entity's built-in collections and its own, to be read."""

    def __init__(
        self, session: Session, stream: StreamRef, own: Mapping[str, CollectionSpec], where: str
    ) -> None:
        builtin = {name: CollectionSpec(name, type) for name, type in COLLECTIONS.items()}
        self.collections = Collections(
            {name: ReadOnlyCollection(session, stream, spec) for name, spec in {**builtin, **own}.items()},
            where,
        )


def _whole(row: Mapping[str, Any] | BaseModel | None, fields: Mapping[str, Any]) -> Json:
    base = row.model_dump(mode="json") if isinstance(row, BaseModel) else dict(row or {})
    return {**base, **fields}
