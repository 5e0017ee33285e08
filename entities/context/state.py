"""Rows as a handler sees them: awaited, validated, no cache; what you read is what is committed or yours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Generic, Self, cast, overload

from pydantic import BaseModel
from typing_extensions import TypeVar

from entities.catalog.events import COLLECTIONS
from entities.context.session import Session
from entities.exceptions import InvalidInput
from shared_state import api
from shared_state.api import (
    Changes,
    CollectionSpec,
    Draft,
    Filled,
    InvalidRow,
    Json,
    Needs,
    NewEvent,
    SharedStateSchema,
    StateRow,
    StreamNotFound,
    Unfit,
    Unit,
    Verb,
    as_json,
    collection,
    get_stream,
    read_as,
)

M = TypeVar("M", bound=BaseModel, default=Any)
R = TypeVar("R", default=StateRow)
S = TypeVar("S", bound="State")
T = TypeVar("T")

Shape = Callable[[StateRow], R]
"""How a row is handed to the handler: as it is, or as its model."""


class StreamRef:
    """Which stream a handle is about.

    One that was made inside `atomic` has no id to rely on before the commit. Then the path is what counts.
    """

    def __init__(self, session: Session, id: int, path: str) -> None:
        self._known = id
        self._path = path if session.scope.atomic else ""

    def of(self, reader: Any) -> int:
        """The stream's id for a reader; see `Session.read`. Raises `StreamNotFound`."""
        if not self._path:
            return self._known
        return self.within(reader.unit()) if isinstance(reader, Draft) else get_stream(self._path).id

    def within(self, unit: Unit) -> int:
        """The stream's id within a unit. Raises `StreamNotFound`."""
        if not self._path:
            return self._known
        found = unit.streams.at(self._path)
        if found is None:
            raise StreamNotFound(f"There is no stream at {self._path!r}.")
        return found

    @property
    def needs(self) -> Needs:
        """What a unit that changes the stream needs."""
        return Needs(paths=(self._path,)) if self._path else Needs((self._known,))

    def change(
        self, work: Callable[[Unit, int], T], type: str = "", key: str = "", client_key: str = ""
    ) -> Verb[T]:
        """A verb that changes one row of the stream."""
        needs = self.needs
        if not self._path:
            needs += Needs(rows=((self._known, type, key),), keys=((self._known, client_key),))
        return Verb(lambda unit: work(unit, self.within(unit)), needs)


class ReadOnlyCollection(Generic[R]):
    """A collection of one stream, to be read. Rows are of type `R`: `StateRow`, or the collection's model."""

    def __init__(self, session: Session, stream: StreamRef, spec: CollectionSpec, shape: Shape[R]) -> None:
        self._session = session
        self._stream = stream
        self._shape = shape
        self.spec = spec

    async def get(self, key: str) -> R | None:
        """The row with a key, or `None`."""
        found = await self.row(key)
        return None if found is None else self._shape(found)

    async def row(self, key: str) -> StateRow | None:
        """The row with a key as it is stored, with its version and who wrote it; or `None`."""
        try:
            text = self.spec.key_text(key)
        except InvalidRow:
            return None  # nothing has what cannot be a key
        found = await self._session.read_row(self._stream.of, self.spec.type, text)
        return StateRow(found) if found else None

    async def all(self) -> list[R]:
        """All rows, in order of creation."""
        return [self._shape(row) for row in await self._rows()]

    async def filter(self, /, **fields: Any) -> list[R]:
        """The rows whose fields, as they are stored, equal these values. The database chooses them."""
        fields = as_json(self.spec.named(fields))
        found = await self._session.read(
            lambda reader: reader.rows_where(self._stream.of(reader), self.spec.type, fields)
        )
        return [self._shape(StateRow(row)) for row in found]

    async def count(self) -> int:
        """How many rows there are."""
        count: int = await self._session.read(
            lambda reader: reader.count_of(self._stream.of(reader), self.spec.type)
        )
        return count

    async def _rows(self) -> list[StateRow]:
        found = await self._session.read(lambda r: r.rows(self._stream.of(r), self.spec.type))
        return [StateRow(row) for row in found]


class StateCollection(ReadOnlyCollection[R]):
    """A collection that may be written too. Rows are checked against its schema before anything happens."""

    async def insert(self, row: Mapping[str, Any] | BaseModel | None = None, /, **fields: Any) -> R:
        """Add a row. Raises `InvalidRow`, `RowExists`."""
        return await self._put(collection.insert, "insert", self._filled(row, fields))

    async def upsert(self, row: Mapping[str, Any] | BaseModel | None = None, /, **fields: Any) -> R:
        """Add a row, or replace the one with its key. Raises `InvalidRow`."""
        return await self._put(collection.upsert, "upsert", self._filled(row, fields))

    def _filled(self, row: Mapping[str, Any] | BaseModel | None, fields: Mapping[str, Any]) -> Filled:
        """The row as JSON, judged here: a model's validators are users' code. Raises `InvalidRow`."""
        if isinstance(row, BaseModel):
            whole = self.spec.fitted(row)
            if not fields:
                return Filled(whole, row)
            named = row.model_dump(exclude_unset=True, by_alias=True)
        else:
            whole = named = {} if row is None else self.spec.named(self.spec.fields_of(row))
        changed = self.spec.named(fields)
        return Filled(self.spec.fitted({**whole, **changed}), {**named, **changed})

    async def _put(self, put: Callable[..., StateRow], verb: str, filled: Filled) -> R:
        key = self._name(verb, filled.whole)

        def work(unit: Unit, stream: int) -> StateRow:
            return put(unit, stream, self.spec, filled.whole, client_key=key, given=filled.given)

        row_key = str(filled.whole.get(self.spec.primary_key))
        return self._shape(await self._change(self._stream.change(work, self.spec.type, row_key, key)))

    async def update(
        self, key: Any, change: Changes | None = None, /, *, expect_version: int | None = None, **changes: Any
    ) -> R:
        """Change fields, or the whole row by a function of a copy. Raises `InvalidRow`, `RowNotFound`.

        `expect_version` refuses if the row changed since you read it: `VersionConflict` carries what it is.
        """
        key, given = self.spec.key_text(key), self._changing(change, changes)
        client_key = self._session.key(f"update:{self.spec.type}:{key}")

        def work(unit: Unit, stream: int) -> StateRow:
            return collection.update(
                unit, stream, self.spec, key, given,
                expect_version=expect_version, client_key=client_key,
            )  # fmt: skip

        changing = self._stream.change(work, self.spec.type, key, client_key)
        return self._shape(await self._change(changing, calls=callable(given)))

    def _changing(self, change: Changes | None, fields: Mapping[str, Any]) -> Changes:
        """What changes a row: JSON where nothing but a schema is known of it, else a function of it."""
        if not callable(change):
            given = {} if change is None else self.spec.fields_of(change)
            changed = self.spec.named({**given, **fields})
            if self.spec.model is None:
                return cast("Json", self.spec.plain(changed))
            return lambda row: self.spec.fitted({**row, **changed})

        def whole(row: Json) -> Json:
            replaced = change(row)
            return self.spec.fitted(row if replaced is None else self.spec.fields_of(replaced))

        return whole

    async def delete(self, key: Any, *, expect_version: int | None = None) -> None:
        """Remove a row. Raises `RowNotFound`, `VersionConflict`."""
        key = self.spec.key_text(key)
        client_key = self._session.key(f"delete:{self.spec.type}:{key}")

        def work(unit: Unit, stream: int) -> None:
            collection.delete(
                unit, stream, self.spec, key, expect_version=expect_version, client_key=client_key
            )

        await self._change(self._stream.change(work, self.spec.type, key, client_key))

    async def _change(self, verb: Verb[T], *, calls: bool = False) -> T:
        """Do it, or stage it. `calls`: it calls a function of the user's, which is nothing for the writer."""
        if not calls and not self._session.scope.atomic:
            return await self._session.change(verb)

        def again(unit: Unit, event: NewEvent) -> Any:
            return collection.done(unit, self._stream.within(unit), event)

        return await self._session.change_row(verb, self._stream, again)

    def _name(self, verb: str, value: Json) -> str:
        return self._session.key(f"{verb}:{self.spec.type}:{value.get(self.spec.primary_key)}")


class Collections:
    """Collections by attribute: `ctx.state.items`, `shared.arguments`, `ctx.db.collections.runs`."""

    def __init__(self, found: Mapping[str, ReadOnlyCollection[Any]], where: str) -> None:
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


class Collection(api.Collection[M]):
    """A collection that a type declares: rows by primary key, each fitting `model`.

    As an attribute of a `State` it stands for the rows themselves, typed by the model.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)  # no field: the same declaration under any name is equal

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: State, owner: type) -> StateCollection[M]: ...

    def __get__(self, instance: State | None, owner: type) -> Self | StateCollection[M]:
        """The declaration on the class, the rows on an instance."""
        if instance is None:
            return self
        found: StateCollection[M] = instance[self.__dict__["name"]]
        return found


class State(Collections):
    """The collections of a type, or of a shared state, declared so that type checkers know their rows.

        class TrackerState(State):
            items = Collection(Item)

        @registry.define("tracker", state=TrackerState)
        async def tracker(ctx: HandlerContext[TrackerState], wake: WakeEvent) -> None:
            item = await ctx.state.items.get("a")  # an Item, or None

    Rows are instances of the model; `row(key)` has the stored row with its version and its writer.
    """

    @classmethod
    def declared(cls) -> dict[str, api.Collection[Any]]:
        """The collections by name, those of base classes first."""
        return {
            name: found
            for base in reversed(cls.__mro__)
            for name, found in vars(base).items()
            if isinstance(found, Collection)
        }

    @classmethod
    def schema(cls) -> SharedStateSchema:
        """The same collections as the schema of a shared state."""
        return SharedStateSchema(**cls.declared())

    @classmethod
    def of(cls, session: Session, stream: StreamRef, specs: Mapping[str, CollectionSpec], where: str) -> Self:
        """The rows of a stream. Raises `InvalidInput` for a collection that it has not."""
        declared = cls.declared()
        found = {
            name: StateCollection(session, stream, spec, shape_of(spec) if name in declared else _as_stored)
            for name, spec in ((name, _typed(spec, declared.get(name))) for name, spec in specs.items())
        }
        if missing := declared.keys() - specs.keys():
            raise InvalidInput(
                f"{where} has no collection {', '.join(sorted(missing))}; it has {', '.join(sorted(specs))}."
            )
        return cls(found, where)


def _typed(spec: CollectionSpec, declared: api.Collection[Any] | None) -> CollectionSpec:
    return spec if declared is None else replace(spec, model=declared.model)


def shape_of(spec: CollectionSpec) -> Shape[Any]:
    """How rows of a declared collection are handed out."""
    model = spec.model
    if model is None:
        return _as_stored

    def shaped(row: StateRow) -> BaseModel:
        try:
            return read_as(model, spec.readable(row))
        except Unfit as unfit:
            raise InvalidRow(f"The stored row does not fit {model.__name__}: {unfit}") from None

    return shaped


def _as_stored(row: StateRow) -> StateRow:
    return row


class SharedState(Collections):
    """A shared state that was made or observed: its collections, to be read and written."""

    def __init__(
        self, session: Session, id: str, stream: StreamRef, specs: Mapping[str, CollectionSpec]
    ) -> None:
        super().__init__(
            {name: StateCollection(session, stream, spec, _as_stored) for name, spec in specs.items()},
            f"shared state {id}",
        )
        self.id = id
        self._reach = (session, stream, specs)

    def __getattr__(self, name: str) -> StateCollection:
        found: StateCollection = super().__getattr__(name)
        return found

    def typed(self, state: type[S]) -> S:
        """The same rows as a `State` declares them. Raises `InvalidInput` if it declares others."""
        return state.of(*self._reach, f"shared state {self.id}")


class EntityDb:
    """An entity's built-in collections and its own, to be read."""

    def __init__(
        self, session: Session, stream: StreamRef, own: Mapping[str, CollectionSpec], where: str
    ) -> None:
        builtin = {name: CollectionSpec(name, type) for name, type in COLLECTIONS.items()}
        self.collections = Collections(
            {
                name: ReadOnlyCollection(session, stream, spec, _as_stored)
                for name, spec in {**builtin, **own}.items()
            },
            where,
        )
