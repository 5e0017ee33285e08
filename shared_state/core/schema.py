"""Collections and schemas: pydantic in, JSON Schema stored, rows validated against what is stored.

A schema travels as JSON (in a stream's row, in a child's arguments), so validation never needs the Python
class that it came from: the parent, its children and the page all see the same rules.
"""

from __future__ import annotations

import builtins
import copy
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, Generic

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError as BadSchema
from jsonschema.exceptions import best_match
from pydantic import BaseModel
from referencing import Registry
from referencing.exceptions import Unresolvable
from typing_extensions import TypeVar

from shared_state.core.growth import differences, grown
from shared_state.core.json_text import encoded, fault_at
from shared_state.core.model_json import Unfit, as_json, fitted, formats, names, takes_names
from shared_state.core.types import Json, is_name, is_storable
from shared_state.exceptions import InvalidRow, SchemaError, SchemaMismatch

_PARTS: Mapping[str, type | tuple[type, ...]] = {
    "primary_key": str, "schema": Mapping, "operations": (list, tuple), "externally_writable": bool,
    "board": Mapping,
}  # fmt: skip
_OPERATIONS = frozenset({"insert", "update", "upsert", "delete"})
_KEY_LENGTH = 255
_KEY_BITS = 64
_TYPE_LENGTH = 100
_RULES = {"type": "event type", "primary_key": "primary key", "json_schema": "schema of its rows"}
_MOST_SAID = 5
_MIGRATE = (
    "New fields need a default; for other rules make a shared state with another id, by mkdb, and insert the "
    "rows of this one in the form that they have there."
)


M = TypeVar("M", bound=BaseModel, default=Any)


@dataclass(frozen=True)
class Collection(Generic[M]):
    """What a type or a shared state declares: rows by primary key.

    `model` gives the rows' fields; without one rows are untyped JSON objects. `type` is the event type in the
    log (by default `state:<name>` for an entity's own). `operations` are what people and programs outside may
    do if the collection is `externally_writable`. `board` says how to show it as a board.
    """

    model: builtins.type[M] | None = None
    type: str | None = None
    primary_key: str = "key"
    externally_writable: bool = False
    operations: tuple[str, ...] = ("insert",)
    board: Mapping[str, Any] | None = None

    def spec(self, name: str, prefix: str) -> CollectionSpec:
        """The stored form. `prefix` makes the default event type."""
        json_schema = self.model.model_json_schema() if self.model else None
        if json_schema is not None and self.primary_key not in fields_of_schema(json_schema):
            raise SchemaError(
                f"{name}: {self.model.__name__ if self.model else ''} has no field {self.primary_key!r}, "
                "which is to be its primary key."
            )
        return CollectionSpec(
            name, self.type or f"{prefix}{name}", self.primary_key, json_schema,
            self.operations, self.externally_writable, dict(self.board or {}), self.model,
        )  # fmt: skip


@dataclass(frozen=True)
class CollectionSpec:
    """A collection as a stream stores it."""

    name: str
    type: str
    primary_key: str = "key"
    json_schema: Json | None = None
    operations: tuple[str, ...] = ("insert",)
    externally_writable: bool = False
    board: Json = field(default_factory=dict)
    model: builtins.type[BaseModel] | None = field(default=None, compare=False, repr=False)
    """The model that the schema was made from, where this process knows it; it is not stored."""

    def to_json(self) -> Json:
        """The JSON that is stored and sent."""
        return {
            "type": self.type, "primary_key": self.primary_key, "schema": self.json_schema,
            "operations": list(self.operations), "externally_writable": self.externally_writable,
            "board": self.board,
        }  # fmt: skip

    @classmethod
    def from_json(cls, name: str, value: Mapping[str, Any]) -> CollectionSpec:
        """Read what `to_json` wrote. Raises `SchemaError`."""
        if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
            raise SchemaError(
                f"Collection {name!r} needs an object with at least a type, not {value!r:.300}."
            )
        found = {part: value.get(part) for part in _PARTS}
        for part, kind in _PARTS.items():
            if found[part] is not None and not isinstance(found[part], kind):
                raise SchemaError(f"Collection {name!r}: its {part} cannot be {found[part]!r:.300}.")
        operations = found["operations"] or ("insert",)
        if strangers := [each for each in operations if each not in _OPERATIONS]:
            raise SchemaError(f"Collection {name!r}: there is no operation {strangers[0]!r:.300}.")
        _validator(_text(found["schema"]))
        return cls(
            name, value["type"], found["primary_key"] or "key", found["schema"],
            tuple(operations), bool(found["externally_writable"]), dict(found["board"] or {}),
        )  # fmt: skip

    def key_of(self, row: Mapping[str, Any]) -> str:
        """The row's primary key as the log has it. Raises `InvalidRow` if it has none."""
        key = row.get(self.primary_key)
        if isinstance(key, int) and not isinstance(key, bool) and key.bit_length() <= _KEY_BITS:
            return str(key)
        if isinstance(key, str) and 0 < len(key) <= _KEY_LENGTH and is_storable(key):
            return key
        longer = isinstance(key, int) and key.bit_length() > _KEY_BITS  # perhaps too long to be written
        shown = "a longer number" if longer else f"{key!r:.300}"
        raise InvalidRow(
            f"{self.name}, {self.primary_key}: a key is a whole number or a text of 1 to {_KEY_LENGTH} "
            f"characters, not {shown}."
        )

    @property
    def fields(self) -> Mapping[str, Any]:
        """The rules of its rows' fields, as JSON Schema."""
        return fields_of_schema(self.json_schema)

    def fields_of(self, row: Any) -> Json:
        """A row's fields, whatever they are. Raises `InvalidRow` for what has none."""
        if isinstance(row, BaseModel):
            found: Json = self.plain(row)
            return found
        if not isinstance(row, Mapping):
            raise InvalidRow(f"{self.name}: a row is an object of fields, not {type(row).__name__}.")
        return dict(row)

    def key_text(self, key: Any) -> str:
        """A primary key as the log has it, from Python: a UUID, a date, an enum. Raises `InvalidRow`."""
        return self.key_of(self.plain({self.primary_key: key}))

    def plain(self, value: Any) -> Any:
        """A value as JSON, whatever it is for. Raises `InvalidRow`."""
        try:
            return as_json(value)
        except Unfit as unfit:
            raise InvalidRow(f"{self.name}{f', {unfit.where}' if unfit.where else ''}: {unfit.why}") from None

    def require_json(self, value: Any) -> None:
        """Raise `InvalidRow`, naming the field, for what is no JSON within its bounds."""
        try:
            encoded(value)
        except ValueError as error:
            where, why = fault_at(value)
            raise InvalidRow(f"{self.name}{f', {where}' if where else ''}: {why or error}") from None

    def named(self, fields: Mapping[str, Any]) -> Json:
        """Fields under the names that rows have, if the model takes other ones for them."""
        if self.model is None or not takes_names(self.model):
            return dict(fields)
        known = names(self.model)
        return {known.get(name, name): value for name, value in fields.items()}

    def fitted(self, row: Mapping[str, Any] | BaseModel) -> Json:
        """The row as JSON, from whatever the model takes; where there is none, from what can be JSON.

        Raises `InvalidRow` as `valid`. A model's validators are users' code: never call this in the writer.
        """
        try:
            if self.model is None:
                return self.valid(as_json(row))
            if isinstance(row, BaseModel):
                return self.valid(fitted(self.model, row if isinstance(row, self.model) else as_json(row)))
            ours, others = self._parted(row)
            return self.valid({**as_json(others), **fitted(self.model, ours)})
        except Unfit as unfit:
            with suppress(Unfit):
                self._require_valid(as_json(row), with_formats=False)  # in the words that others read
            where = f", {unfit.where}" if unfit.where else ""
            raise InvalidRow(f"{self.name}{where}: {unfit.why:.500}") from None

    def readable(self, row: Mapping[str, Any]) -> Json:
        """What the model may be told of a row: without fields that only a newer schema has."""
        return self._parted(row)[0]

    def _parted(self, row: Mapping[str, Any]) -> tuple[Json, Json]:
        """A row's fields for the model, and those that it knows nothing of but the stored schema does."""
        known = set() if self.model is None else {*self.model.model_fields, *names(self.model).values()}
        others = {name: row[name] for name in self.fields if name in row} if known else {}
        others = {name: value for name, value in others.items() if name not in known}
        return {name: value for name, value in row.items() if name not in others}, others

    def valid(self, row: Mapping[str, Any] | BaseModel) -> Json:
        """The row with defaults filled in. Raises `InvalidRow`, naming the field and the reason."""
        # The schema names fields as JSON does: by their aliases.
        value = self.fields_of(row)
        self.require_json(value)
        if self.json_schema is None:
            return value
        for name, rule in self.fields.items():
            if name not in value and isinstance(rule, Mapping) and "default" in rule:
                value[name] = copy.deepcopy(rule["default"])
        self._require_valid(value)
        return value

    def _require_valid(self, value: Json, *, with_formats: bool = True) -> None:
        try:
            fault = first_fault(self.json_schema or {}, value, with_formats=with_formats)
        except SchemaError as error:
            raise SchemaError(f"{self.name}: {error}") from None
        if fault is not None:
            where, why = fault
            raise InvalidRow(f"{self.name}{f', {where}' if where else ''}: {why:.500}")


class SharedStateSchema(Mapping[str, CollectionSpec]):
    """The collections of a shared state, by name. Agreement is judged by types, keys and JSON Schemas."""

    def __init__(self, **collections: Collection[Any] | CollectionSpec) -> None:
        self._specs = {
            name: found.spec(name, "shared:") if isinstance(found, Collection) else found
            for name, found in collections.items()
        }
        types = [spec.type for spec in self._specs.values()]
        if odd := [each for each in (*self._specs, *types) if not is_name(each, _TYPE_LENGTH)]:
            raise SchemaError(
                f"{odd[0]!r:.300} cannot be the name or the event type of a collection: 1 to {_TYPE_LENGTH} "
                "characters, no line breaks or other controls, no spaces around them."
            )
        if len(types) != len(set(types)):
            raise SchemaError(f"Two collections share an event type: {', '.join(sorted(types))}.")

    def __getitem__(self, name: str) -> CollectionSpec:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def to_json(self) -> Json:
        """The JSON that is stored and sent."""
        return {name: spec.to_json() for name, spec in self._specs.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SharedStateSchema:
        """Read what `to_json` wrote. Raises `SchemaError`."""
        if not isinstance(value, Mapping) or not value:
            raise SchemaError(f"A schema is an object of collections by name, not {value!r:.300}.")
        return cls(**{name: CollectionSpec.from_json(name, spec) for name, spec in value.items()})

    @classmethod
    def of(cls, value: SharedStateSchema | Mapping[str, Any]) -> SharedStateSchema:
        """A schema from either form."""
        return value if isinstance(value, SharedStateSchema) else cls.from_json(value)

    def agreed(self, stored: Mapping[str, Any], where: str) -> Json:
        """The stored schema with what this one says of its collections: words, and optional fields.

        Raises `SchemaMismatch` unless every collection named here is stored there with rules that agree.
        """
        theirs = collections(stored)
        found = dict(stored)
        for name, spec in self.items():
            if name not in theirs:
                raise SchemaMismatch(
                    f"{where} has no collection {name!r}; it has {', '.join(sorted(theirs)) or 'none'}."
                )
            for part, word in _RULES.items():
                there, here = getattr(theirs[name], part), getattr(spec, part)
                if there == here:
                    continue
                if part != "json_schema" or there is None or here is None:
                    differ = f"another {word} ({there!r:.200}) than the one you gave ({here!r:.200})"
                elif unlike := list(islice(differences(there, here), _MOST_SAID)):
                    differ = f"another {word} than the one you gave; they differ in {', '.join(unlike)}"
                else:
                    found[name] = {**stored[name], "schema": grown(there, here)}
                    continue
                raise SchemaMismatch(f"{where}: collection {name!r} is stored with {differ}. {_MIGRATE}")
        return found


def collections(schema: Mapping[str, Any]) -> dict[str, CollectionSpec]:
    """The collections of a stored schema, by name. Raises `SchemaError`: unreadable never reads as empty."""
    if not isinstance(schema, Mapping):
        raise SchemaError(
            f"The stored schema cannot be read: {schema!r:.300} is not an object of collections."
        )
    return {name: CollectionSpec.from_json(name, value) for name, value in schema.items()}


def fields_of_schema(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The rules of an object's fields; a model that refers to itself has them among its definitions."""
    if schema is None:
        return {}
    definitions, reference = schema.get("$defs", {}), schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        schema = definitions.get(reference.removeprefix("#/$defs/"), {})
    found: Mapping[str, Any] = schema.get("properties", {})
    return found


def _text(schema: Any) -> str:
    return orjson.dumps(schema, option=orjson.OPT_SORT_KEYS).decode()


def first_fault(
    schema: Mapping[str, Any], value: Any, *, with_formats: bool = True
) -> tuple[str, str] | None:
    """Where a value breaks a JSON Schema first, and how; `None` if it fits. The place is a dotted path.

    Without formats where a model, which has better words for them, has refused the value.

    Raises `SchemaError` for what is no schema, or refers to what is not in it.
    """
    try:
        error = best_match(_validator(_text(schema), with_formats).iter_errors(value))
    except Unresolvable as missing:
        raise SchemaError(f"the schema refers to what is not in it: {missing}.") from None
    if error is None:
        return None
    return error.json_path.removeprefix("$").removeprefix("."), error.message


@lru_cache(maxsize=512)
def _validator(schema: str, with_formats: bool = True) -> Draft202012Validator:
    """Compiled once for each schema. Raises `SchemaError`."""
    parsed = orjson.loads(schema) or {}
    try:
        Draft202012Validator.check_schema(parsed)
    except BadSchema as error:
        raise SchemaError(f"This is not a JSON Schema: {error.message:.500}") from None
    # An empty registry: whoever writes a schema must not make this process fetch an address.
    return Draft202012Validator(parsed, registry=Registry(), format_checker=formats if with_formats else None)
