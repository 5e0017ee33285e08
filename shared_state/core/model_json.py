"""Pydantic and JSON, one way: what a model takes in Python goes in, its JSON comes out, and goes in again.

The JSON has the names that the model's schema has. Computed fields are left out: they follow from the others,
and whoever changes a row without knowing the model could not keep them true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any

from jsonschema import FormatChecker
from pydantic import AliasChoices, AnyUrl, BaseModel, IPvAnyAddress, RootModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from shared_state.core.json_text import encoded, fault_at
from shared_state.exceptions import InvalidRow

formats = FormatChecker(formats=("email", "idn-email", "ipv4", "ipv6", "uuid", "regex"))
"""What `format` in a schema demands of a text: what pydantic reads as such."""

_READ: Mapping[str, tuple[str, Any]] = {
    "date": (r"\d{4}-\d\d-\d\d\Z", date),
    "date-time": (r"\d{4}-\d\d-\d\d[Tt ]", datetime),
    "time": (r"\d\d:\d\d", time),
    "duration": (r"[-+]?P", timedelta),
    "uri": (r"[A-Za-z]", AnyUrl),
    "ipvanyaddress": (r"", IPvAnyAddress),
}


class Unfit(InvalidRow):
    """A value that a model or JSON does not take: where, as a dotted path, and why."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}" if where else why)
        self.where = where
        self.why = why


def as_json(value: Any) -> Any:
    """A Python value as JSON: dates, decimals, UUIDs, enums, sets, models. Raises `Unfit`."""
    try:
        with _foreign():
            found = to_jsonable_python(value, by_alias=True, round_trip=True, inf_nan_mode="constants")
    except ValueError as error:
        where, why = fault_at(value)
        raise Unfit(where, why or f"not JSON: {error}") from None
    _require_json(found)
    return found


def read_as(model: type[BaseModel], value: Any) -> BaseModel:
    """A value as a model's instance, from Python or from JSON; strict models differ in what they take.

    Raises `Unfit`, also for what the model's own validators raise, whatever that is.
    """
    try:
        with _foreign():
            return model.model_validate(value)
    except ValidationError as error:
        refused = error
    try:
        with _foreign():
            data = to_json(value, by_alias=True, round_trip=True, inf_nan_mode="constants")
            return model.model_validate_json(data)
    except ValidationError as error:
        refused = (
            error  # of what is nearer to being right: a strict model refuses most of a JSON row in Python
        )
    except PydanticSerializationError:
        pass  # it cannot be JSON
    first = refused.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    raise Unfit(where, first["msg"].removeprefix("Value error, "))


def fitted(model: type[BaseModel], value: Any) -> Any:
    """The JSON of what a model takes, with its defaults. Raises as `read_as` and `as_json`."""
    instance = read_as(model, value)
    try:
        with _foreign():
            data = instance.model_dump(mode="json", by_alias=True, round_trip=True)
    except PydanticSerializationError as error:
        raise Unfit("", f"not JSON: {error}") from None
    data = _as_read(instance, data)
    _require_json(data)
    read_as(model, data)  # what could not be read again must not be written
    return data


@contextmanager
def _foreign() -> Iterator[None]:
    """Around validators and serializers that are users' code: an exit of theirs refuses a value, no more.

    Pydantic has its own errors for `ValueError` and `AssertionError`; those pass.
    """
    try:
        yield
    except ValueError:
        raise
    except BaseException as error:
        raise Unfit("", f"its model raised {type(error).__name__}") from error


def names(model: type[BaseModel]) -> dict[str, str]:
    """The names that a model's fields have in its schema, by their names in Python."""
    return {name: _read_name(name, field) for name, field in model.model_fields.items()}


def takes_names(model: type[BaseModel]) -> bool:
    """Whether a model takes fields by their names in Python beside their aliases."""
    return bool(model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name"))


def _read_name(name: str, field: FieldInfo) -> str:
    alias: Any = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = next((each for each in alias.choices if isinstance(each, str)), None)
    return alias if isinstance(alias, str) else field.alias or name


def _as_read(value: Any, data: Any) -> Any:
    """The JSON of a value under the names that it is read by, which need not be those it is written by."""
    if isinstance(value, RootModel):
        return _as_read(value.root, data)
    if isinstance(value, BaseModel) and isinstance(data, dict):
        fields = type(value).model_fields
        written = {field.serialization_alias or field.alias or name: name for name, field in fields.items()}
        found = {}
        for key, each in data.items():
            name = written.get(key)
            if name is None:
                found[key] = each
            else:
                found[_read_name(name, fields[name])] = _as_read(getattr(value, name), each)
        return found
    if isinstance(value, Mapping) and isinstance(data, dict) and len(value) == len(data):
        return {key: _as_read(v, each) for v, (key, each) in zip(value.values(), data.items(), strict=True)}
    if isinstance(value, list | tuple) and isinstance(data, list) and len(value) == len(data):
        return [_as_read(v, each) for v, each in zip(value, data, strict=True)]
    return data


def _require_json(value: Any) -> None:
    try:
        encoded(value)
    except ValueError as error:
        where, why = fault_at(value)
        raise Unfit(where, why or str(error)) from None


def _check_format(name: str, shape: str, kind: Any) -> None:
    adapter, begins = TypeAdapter(kind), re.compile(shape)

    @formats.checks(name, raises=ValidationError)
    def fits(value: object) -> bool:
        if not isinstance(value, str):
            return True
        if begins.match(value) is None:
            return False
        adapter.validate_python(value)
        return True


for _name, (_shape, _kind) in _READ.items():
    _check_format(_name, _shape, _kind)
