"""Parameters of tools: from a function's signature and docstring to a model, and to the schema that is sent.

What a model's API would refuse is refused here, where the tool is defined: the API answers for a whole
request, so one odd parameter would silence every tool that is sent beside it.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Set
from functools import lru_cache, partial
from itertools import count
from typing import Annotated, Any, ClassVar, Optional

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError as BadSchema
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, create_model
from pydantic.fields import FieldInfo

from entities.exceptions import InvalidInput

PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What APIs take as the name of a parameter, or of a field within one."""

HEADING = re.compile(r"(Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?|Notes?):")
PARAMETER = re.compile(r"(?P<name>\*{0,2}\w+)(?:\s*\([^)]*\))?:\s*(?P<text>.*)")
_NAMED = ("properties", "$defs", "patternProperties", "dependentSchemas")
"""Keywords whose keys are names that users chose, one of which may well be "title"."""
_PLAIN = ("default", "const", "enum", "examples", "discriminator", "required")
"""Keywords whose values are no schemas."""


class Arguments(BaseModel):
    """A model of a function's parameters."""

    parameters_by_field: ClassVar[Mapping[str, str]] = {}
    """The parameter that each field is for, where their names differ."""


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """A docstring in the style of Google's guide, split into description and parameter descriptions."""
    kept: list[str] = []
    documented: dict[str, str] = {}
    section, current = "", ""
    for line in text.splitlines():
        stripped = line.strip()
        if heading := HEADING.fullmatch(stripped):
            section, current = heading.group(1), ""
        elif section and stripped and not line[0].isspace():
            section = ""
        if section in ("Args", "Arguments", "Parameters"):
            current = _read_parameter(line, current, documented)
        elif section not in ("Raises", "Yields"):
            kept.append(line)
    return "\n".join(kept).strip(), documented


def _read_parameter(line: str, current: str, documented: dict[str, str]) -> str:
    """Add one line of an Args section to `documented`; returns the parameter that it belongs to."""
    indent = len(line) - len(line.lstrip())
    match = PARAMETER.fullmatch(line.strip())
    # Four columns is the section's own indentation; anything deeper continues the parameter above.
    if match and 0 < indent <= 4:
        name = match["name"].lstrip("*")
        documented[name] = match["text"]
        return name
    if current and line.strip():
        documented[current] = f"{documented[current]} {line.strip()}".strip()
    return current


def signature_model(
    name: str, function: Callable[..., Any], documented: Mapping[str, str], nearby: Mapping[str, Any]
) -> type[BaseModel]:
    """A model of a function's parameters: their types, defaults, `Field(...)`s, and what the docstring says.

    `nearby` are names that types may refer to beside the function's globals. Raises InvalidInput.
    """
    hints = _type_hints(name, function, nearby)
    fields: dict[str, Any] = {}
    own: dict[str, str] = {}
    parameters = list(_parameters(name, function))
    names = {parameter.name for parameter in parameters}
    for parameter in parameters:
        default = ... if parameter.default is parameter.empty else parameter.default
        hint = _typed(hints.get(parameter.name, Any), default, documented.get(parameter.name))
        field = _field_name(parameter.name, names)
        fields[field], own[field] = (hint, default), parameter.name

    class Parameters(Arguments):
        model_config = ConfigDict(
            extra="forbid", protected_namespaces=(), alias_generator=lambda field: own.get(field, field)
        )
        parameters_by_field = own

    try:
        model: type[BaseModel] = create_model(name or "tool", __base__=Parameters, **fields)
        model.model_json_schema()
    except (PydanticUserError, NameError, TypeError) as error:
        said = getattr(error, "message", None) or str(error)
        raise InvalidInput(
            f"Tool {name!r} has a parameter of a type that JSON cannot carry: {said.partition(chr(10))[0]}"
        ) from error
    return model


@lru_cache(maxsize=1024)  # a handler makes its tools anew at each wake; looking takes milliseconds
def _check_schema(schema: bytes) -> None:
    Draft202012Validator.check_schema(orjson.loads(schema))


def sent_schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a tool's parameters, as APIs take it. Raises InvalidInput for what they refuse."""
    try:
        schema = _at_the_top(without_titles(model.model_json_schema(by_alias=True)))
    except PydanticUserError as error:
        raise InvalidInput(f"Tool {name!r}: JSON cannot carry its parameters: {error.message}") from error
    if schema.get("type") != "object" or {"anyOf", "oneOf", "allOf"} & schema.keys():
        raise InvalidInput(
            f"Tool {name!r}: models take parameters by name only, so its arguments cannot be a list "
            "or a union; make what they are the type of one parameter."
        )
    schema.setdefault("properties", {})
    schema.pop("description", None)
    for odd in (each for each in _property_names(schema) if not PROPERTY.fullmatch(each)):
        raise InvalidInput(
            f"Tool {name!r}: {odd!r:.100} cannot name a parameter or field: models take 1 to 64 ASCII "
            "letters, digits, '_', '.' or '-'; rename it or give it such an alias."
        )
    for reference in (each for each in _references(schema) if not each.startswith("#/$defs/")):
        raise InvalidInput(
            f"Tool {name!r}: its schema refers to {reference!r:.100}, which is not in it; "
            "models fetch nothing."
        )
    try:
        _check_schema(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))
    except BadSchema as error:
        raise InvalidInput(
            f"Tool {name!r}: models refuse its parameters, whose schema is none at "
            f"{'.'.join(map(str, error.absolute_path)) or 'its top'}: {error.message:.300}"
        ) from None
    return schema


def without_titles(schema: Any) -> Any:
    """A JSON Schema without the titles that pydantic derives from names: they cost tokens and say nothing."""
    if isinstance(schema, list):
        return [without_titles(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            cleaned[key] = {name: without_titles(each) for name, each in value.items()}
        elif key != "title":
            cleaned[key] = value if key in _PLAIN else without_titles(value)
    return cleaned


def _parameters(name: str, function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"Tool {name!r}: its parameters cannot be seen: {error}.") from None
    for parameter in found:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidInput(
                f"Tool {name!r}: a model cannot fill the parameter '{parameter}'; name it plainly."
            )
        yield parameter


def _field_name(parameter: str, taken: Set[str]) -> str:
    """A parameter's own name, which factories of defaults see; another where a field cannot have it."""
    if not parameter.startswith("_") and not hasattr(Arguments, parameter):
        return parameter
    return next(name for n in count() if (name := f"p{n}_{parameter}") not in taken)


def _typed(hint: Any, default: Any, text: str | None) -> Any:
    """A parameter's type with what is said of it elsewhere: its docstring, and a default of `None`."""
    base, *more = (hint.__origin__, *hint.__metadata__) if typing.get_origin(hint) is Annotated else (hint,)
    said = [each for each in (*more, default) if isinstance(each, FieldInfo)]
    if default is None or any(each.default is None for each in said):
        # The parts that check a value stay with it: they were not written for `None`.
        checks = [each for each in more if not isinstance(each, FieldInfo)]
        base = Optional[Annotated[(base, *checks)] if checks else base]  # noqa: UP045
        more = [each for each in more if isinstance(each, FieldInfo)]
    if text is not None:
        more = [Field(description=text), *more]  # what a `Field` of one's own says comes later, and counts
    return Annotated[(base, *more)] if more else base


def _type_hints(name: str, function: Callable[..., Any], nearby: Mapping[str, Any]) -> dict[str, Any]:
    target = inspect.unwrap(function)
    while isinstance(target, partial):
        target = target.func
    if not inspect.isroutine(target) and not inspect.isclass(target):
        target = type(target).__call__
    try:
        return typing.get_type_hints(target, localns=dict(nearby), include_extras=True)
    except NameError as error:
        raise InvalidInput(
            f"Tool {name!r}: the type {error.name!r} is not known where the tool is defined. "
            "Import it there, outside `if TYPE_CHECKING`."
        ) from error
    except (TypeError, SyntaxError) as error:
        raise InvalidInput(f"Tool {name!r}: a parameter's type cannot be read: {error}.") from error


def _at_the_top(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its rules at the top, where a model that refers to itself has a reference."""
    reference = schema.get("$ref", "")
    if not reference.startswith("#/$defs/"):
        return schema
    own = schema["$defs"][reference.removeprefix("#/$defs/")]
    return {**own, "$defs": schema["$defs"]}


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all that are in it."""
    if isinstance(schema, list):
        for each in schema:
            yield from _schemas(each)
    elif isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            if key in _NAMED and isinstance(value, dict):
                yield from _schemas(list(value.values()))
            elif key not in _PLAIN:
                yield from _schemas(value)


def _property_names(schema: dict[str, Any]) -> Iterator[str]:
    for each in _schemas(schema):
        found = each.get("properties", {})
        yield from found if isinstance(found, dict) else ()


def _references(schema: dict[str, Any]) -> Iterator[str]:
    return (each["$ref"] for each in _schemas(schema) if isinstance(each.get("$ref"), str))
