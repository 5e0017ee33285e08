"""The types that this installation knows: defined in code, stored as rows for pages and other processes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel
from typing_extensions import Unpack

from entities.catalog.events import COLLECTIONS, EVENTS
from entities.exceptions import InvalidInput, RegistryError, TypeAlreadyDefined, UnknownType
from entities.models import EntityType
from entities.types.foreign import timeout_fault
from shared_state.api import (
    Collection,
    CollectionSpec,
    Json,
    Unfit,
    as_json,
    encoded,
    first_fault,
    fitted,
    takes_names,
)

Handler = Callable[[Any, Any], Awaitable[None]]
H = TypeVar("H", bound=Handler)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED = frozenset({"agents", "shared", "admin", "accounts", "static", "live", "api", "new"})
"""Names whose addresses are pages of the site."""


@dataclass(frozen=True)
class TypeDefinition:
    """What `define` was told, with the schemas as JSON."""

    name: str
    handler: Handler
    place: str
    description: str = ""
    state: dict[str, CollectionSpec] = field(default_factory=dict)
    creation_schema: Json | None = None
    inbox_schemas: dict[str, Json] = field(default_factory=dict)
    boards: tuple[Json, ...] = ()
    hidden: bool = False
    timeout: float | None = None
    """Seconds after which a wake of its handler is given up; by default what the settings say."""
    creation_model: type[BaseModel] | None = None
    inbox_models: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    state_class: type[Any] | None = None
    """A `State` that declares the collections, if the type was defined by one."""

    def checked_args(self, args: Mapping[str, Any]) -> Any:
        """Arguments with their defaults. Raises `InvalidInput`, naming the field and the reason."""
        what = f"arguments of {self.name}"
        if not isinstance(args, Mapping):
            raise InvalidInput(f"{what}: an object of fields, not {type(args).__name__}.")
        return validated(self.creation_schema, dict(args), what, self.creation_model)

    def checked_message(self, kind: str, payload: Any) -> Any:
        """A message of a kind with its defaults; one of a kind without a schema as it is."""
        what = f"message {kind or 'text'}"
        return validated(self.inbox_schemas.get(kind), payload, what, self.inbox_models.get(kind))

    def as_fields(self) -> dict[str, Any]:
        """The columns of its row."""
        return {
            "description": self.description,
            "creation_schema": self.creation_schema,
            "inbox_schemas": self.inbox_schemas,
            "state_schemas": {name: spec.to_json() for name, spec in self.state.items()},
            "boards": list(self.boards),
            "hidden": self.hidden,
        }


@dataclass(frozen=True, kw_only=True)
class TypeOptions:
    """The optional part of a definition; see `Registry.define`."""

    description: str = ""
    state: Mapping[str, Collection[Any]] | type[Any] = field(default_factory=dict)
    creation_schema: type[BaseModel] | None = None
    inbox_schemas: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    boards: Sequence[Mapping[str, Any]] = ()
    hidden: bool = False
    timeout: float | None = None


class Options(TypedDict, total=False):
    """The fields of `TypeOptions`, for type checkers."""

    description: str
    state: Mapping[str, Collection[Any]] | type[Any]
    creation_schema: type[BaseModel] | None
    inbox_schemas: Mapping[str, type[BaseModel]]
    boards: Sequence[Mapping[str, Any]]
    hidden: bool
    timeout: float | None


class Registry:
    """Types by name, as this process knows them. Not locked: types are defined while apps load."""

    def __init__(self) -> None:
        self._types: dict[str, TypeDefinition] = {}
        self._aliases: dict[str, str] = {}

    def define(self, name: str, **options: Unpack[Options]) -> Callable[[H], H]:
        """Define a type by decorating its handler, `async def handler(ctx, wake)`.

        Options are the fields of `TypeOptions`: `description`, `state` (collections by name, or a `State`),
        `creation_schema` and `inbox_schemas` (pydantic models), `boards` (how to show its state), `hidden`
        (people do not spawn it directly) and `timeout` (seconds that a wake may take).
        Raises `TypeAlreadyDefined` and `RegistryError`.
        """
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise RegistryError(
                f"{name!r} cannot be a type's name: lower-case letters, digits and underscores, "
                f"and none of {', '.join(sorted(RESERVED))}."
            )
        try:
            given = TypeOptions(**options)
        except TypeError as error:
            raise RegistryError(
                f"{name}: {error}".replace("TypeOptions.__init__() got", "define() got")
            ) from None

        def decorate(handler: H) -> H:
            self._add(_definition(name, handler, given))
            return handler

        return decorate

    def _add(self, found: TypeDefinition) -> None:
        known = self._types.get(found.name)
        if known is not None and known.place != found.place:
            raise TypeAlreadyDefined(
                f"{found.name!r} is defined at {known.place} and again at {found.place}."
            )
        self._types[found.name] = found

    def alias(self, other: str, name: str) -> None:
        """Let `other` mean the type `name` when it is spawned."""
        self._aliases[other] = name

    def canonical(self, name: str) -> str:
        """The name that a type is stored under."""
        return self._aliases.get(name, name)

    def get(self, name: str) -> TypeDefinition:
        """A type. Raises `UnknownType`, naming those that there are."""
        found = self._types.get(self.canonical(name))
        if found is None:
            raise UnknownType(
                f"There is no type {name!r}; there are {', '.join(sorted(self._types)) or 'none'}."
            )
        return found

    def __contains__(self, name: str) -> bool:
        """Whether there is a type of this name, which an alias is not."""
        return name in self._types

    def all(self) -> list[TypeDefinition]:
        """Every type, by name."""
        return [self._types[name] for name in sorted(self._types)]

    def store(self, using: str | None = None) -> int:
        """Write the types into their rows; one that changed gets the next revision. Returns how many did.

        `using` names a database other than the one that the router chooses.
        """
        rows = EntityType.objects.using(using)
        known = {row.name: row for row in rows}
        changed = 0
        for found in self._types.values():
            fields = found.as_fields()
            row = known.get(found.name)
            if row is None:
                rows.update_or_create(name=found.name, defaults=fields)
            elif any(getattr(row, name) != value for name, value in fields.items()):
                rows.filter(name=found.name).update(**fields, revision=row.revision + 1)
            else:
                continue
            changed += 1
        return changed


registry = Registry()
"""The one that `agents.py` files define into."""


def validated(schema: Json | None, value: Any, what: str, model: type[BaseModel] | None = None) -> Any:
    """A value as JSON, with its schema's defaults. Raises `InvalidInput`, naming the field and the reason.

    The model that the schema was made from, if it is known here, says what it takes: its defaults, its own
    validators, extra fields. Without it the schema alone does. The model's validators run in this thread.
    """
    try:
        found = as_json(value) if model is None else fitted(model, value)
    except Unfit as unfit:
        with suppress(Unfit):
            if model is None or not takes_names(model):  # a schema knows no names but its own
                _require_valid(schema, as_json(value), what, with_formats=False)  # in its words
        raise InvalidInput(f"{what}{f', {unfit.where}' if unfit.where else ''}: {unfit.why}") from None
    _require_storable(found, what)
    return _require_valid(schema, found, what)


def _require_valid(schema: Json | None, value: Any, what: str, *, with_formats: bool = True) -> Any:
    if schema is None:
        return value
    if isinstance(value, Mapping):
        defaults = {
            name: rule["default"] for name, rule in schema.get("properties", {}).items() if "default" in rule
        }
        value = {**defaults, **value}
    if (fault := first_fault(schema, value, with_formats=with_formats)) is not None:
        where, why = fault
        raise InvalidInput(f"{what}{f', {where}' if where else ''}: {why}")
    return value


def _require_storable(value: Any, what: str) -> None:
    """Raise `InvalidInput` for what is not JSON within its bounds."""
    try:
        encoded(value)
    except ValueError as error:
        raise InvalidInput(f"{what}: {error}.") from None


def _definition(name: str, handler: Handler, given: TypeOptions) -> TypeDefinition:
    if not inspect.iscoroutinefunction(handler):
        raise RegistryError(f"{name}: the handler must be `async def`, taking (ctx, wake).")
    if wrong := timeout_fault(given.timeout):
        raise RegistryError(f"{name}: {wrong}.")
    declared, state_class = _declared(name, given.state)
    taken = sorted(set(declared) & set(COLLECTIONS))
    if taken:
        raise RegistryError(f"{name}: {', '.join(taken)} is a built-in collection; choose another name.")
    state = {key: found.spec(key, "state:") for key, found in declared.items()}
    types = [spec.type for spec in state.values()]
    if odd := sorted({each for each in types if each in EVENTS or types.count(each) > 1}):
        raise RegistryError(
            f"{name}: {', '.join(odd)} cannot be a collection's event type; it is built in, or there twice."
        )
    code = inspect.unwrap(handler).__code__
    return TypeDefinition(
        name=name,
        handler=handler,
        place=f"{handler.__module__}:{code.co_firstlineno}",
        description=given.description or (handler.__doc__ or "").strip().partition("\n")[0],
        state=state,
        creation_schema=given.creation_schema.model_json_schema() if given.creation_schema else None,
        inbox_schemas={key: model.model_json_schema() for key, model in given.inbox_schemas.items()},
        boards=tuple(dict(board) for board in given.boards),
        hidden=given.hidden,
        timeout=given.timeout,
        creation_model=given.creation_schema,
        inbox_models=dict(given.inbox_schemas),
        state_class=state_class,
    )


def _declared(
    name: str, state: Mapping[str, Collection[Any]] | type[Any]
) -> tuple[Mapping[str, Collection[Any]], type[Any] | None]:
    """The collections by name, and the `State` that declares them, if one does."""
    if not isinstance(state, type):
        return state, None
    declared = getattr(state, "declared", None)
    if declared is None:
        raise RegistryError(f"{name}: {state.__name__} declares no collections; derive it from State.")
    return declared(), state
