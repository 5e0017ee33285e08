"""Tools: Python functions that a model may call.

`@tool` turns a function into a `Tool`: its name, its description and the JSON Schema of its parameters come
from the signature and the docstring, and what the model sends is validated before the function runs. This
module knows neither the agent loop nor Django; the loop turns a raised exception into a failed call.
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic_core import to_json

from entities.catalog.sanitize import said, storable, tidied
from entities.conf import conf
from entities.exceptions import InvalidInput, ToolError
from entities.types.foreign import called

MAX_RESULT_CHARS = 100_000
"""A longer result is cut: it would crowd everything else out of the model's window."""

MAX_RESULT_BYTES = 150_000
"""The same in UTF-8, so that the call's event can carry it beside its arguments."""

MAX_SHOWN_CHARS = 200
"""How much of a wrong argument an error message repeats."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
HEADING = re.compile(r"(Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?|Notes?):")
PARAMETER = re.compile(r"(?P<name>\*{0,2}\w+)(?:\s*\([^)]*\))?:\s*(?P<text>.*)")


class ToolData(TypedDict):
    """What a model is told of a tool: `agent.messages.ToolSpec(**tool.spec())`."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool may return when text is not enough.

    `content` is what the model reads, `details` is kept for people (any JSON), and `terminate` ends the run
    after this step.
    """

    content: str
    details: Any = None
    terminate: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call. `retry_safe` says that running it twice does no harm."""

    name: str
    description: str
    parameters: dict[str, Any]
    function: Callable[..., Any]
    arguments_model: type[BaseModel]
    retry_safe: bool = False
    timeout: float | None = None
    """Seconds after which a call is given up; by default what the settings say."""

    def spec(self) -> ToolData:
        """The part that goes to the model."""
        return ToolData(name=self.name, description=self.description, parameters=self.parameters)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with their Python types and defaults.

        Raises ToolError that names the argument, what it was and what it may be.
        """
        try:
            model = self.arguments_model.model_validate(dict(arguments))
        except ValidationError as error:
            raise ToolError(_explain(self.name, self.parameters, error)) from None
        fields = self.arguments_model.model_fields
        return {field.alias or name: getattr(model, name) for name, field in fields.items()}

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Validate, run, and put the result into words for the model.

        A plain function runs in a thread, so that it may block. Raises ToolError for wrong arguments, what
        the function raises, and `ForeignError` and `ForeignTimeout` as `foreign.called` does.
        """
        values = self.validate(arguments)
        limit = self.timeout or conf.tool_timeout
        return _as_result(await called(partial(self.function, **values), limit=limit))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself, so that decorated functions stay callable."""
        return self.function(*args, **kwargs)


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    retry_safe: bool = False,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    retry_safe: bool = False,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool, as `@tool` or `@tool(retry_safe=True, timeout=30)` (seconds).

    Parameters and their types come from the signature, their descriptions from the docstring's `Args:`.
    Raises InvalidInput if the name is not one that models accept, if a type cannot be resolved, or if the
    signature has positional-only or starred parameters.
    """
    # Types defined inside a function are visible only in its frame: look them up where the decorator stands.
    nearby = dict(sys._getframe(1).f_locals)

    def decorate(function: Callable[..., Any]) -> Tool:
        summary, documented = parse_docstring(inspect.getdoc(function) or "")
        own_name = name or str(getattr(function, "__name__", ""))
        return from_model(
            own_name,
            description or summary,
            _signature_model(own_name, function, documented, nearby),
            function,
            retry_safe=retry_safe,
            timeout=timeout,
        )

    return decorate(function) if function is not None else decorate


def from_model(
    name: str,
    description: str,
    arguments_model: type[BaseModel],
    function: Callable[..., Any],
    *,
    retry_safe: bool = False,
    timeout: float | None = None,
) -> Tool:
    """A tool whose parameters are a pydantic model's fields; `function` gets them as keyword arguments.

    For tools that are generated, such as those for the collections of a shared state.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot name a tool: use 1 to 64 letters, digits, '_' or '-'.")
    schema = _without_titles(arguments_model.model_json_schema(by_alias=True))
    schema.setdefault("properties", {})
    schema.pop("description", None)
    return Tool(name, description.strip(), schema, function, arguments_model, retry_safe, timeout)


def index_tools(tools: Iterable[Tool]) -> dict[str, Tool]:
    """The tools by name. Raises InvalidInput if two have the same name: a model could not tell them apart."""
    found: dict[str, Tool] = {}
    for each in tools:
        if each.name in found:
            first, second = _origin(found[each.name]), _origin(each)
            raise InvalidInput(
                f"Two tools are named {each.name!r}: {first} and {second}. Rename one of them."
            )
        found[each.name] = each
    return found


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


def _signature_model(
    name: str, function: Callable[..., Any], documented: Mapping[str, str], nearby: dict[str, Any]
) -> type[BaseModel]:
    hints = _type_hints(name, function, nearby)
    fields: dict[str, Any] = {}
    for position, parameter in enumerate(inspect.signature(function).parameters.values()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidInput(
                f"Tool {name!r}: a model cannot fill the parameter '{parameter}'; name it plainly."
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        extra: dict[str, Any] = {"alias": parameter.name}
        if parameter.name in documented:
            extra["description"] = documented[parameter.name]
        # Fields get names of their own: a parameter may be called `json` or `copy`, a field may not.
        fields[f"p{position}"] = (hints.get(parameter.name, Any), Field(default, **extra))
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    try:
        model: type[BaseModel] = create_model(name or "tool", __config__=config, **fields)
        model.model_json_schema()
    except PydanticUserError as error:
        raise InvalidInput(
            f"Tool {name!r} has a parameter of a type that JSON cannot carry: {error}"
        ) from error
    return model


def _type_hints(name: str, function: Callable[..., Any], nearby: dict[str, Any]) -> dict[str, Any]:
    target = inspect.unwrap(function)
    try:
        return typing.get_type_hints(target, localns=nearby, include_extras=True)
    except NameError as error:
        raise InvalidInput(
            f"Tool {name!r}: the type {error.name!r} is not known where the tool is defined. "
            "Import it there, outside `if TYPE_CHECKING`."
        ) from error


def _without_titles(schema: Any) -> Any:
    """A JSON Schema without the titles that pydantic derives from names: they cost tokens and say nothing."""
    if isinstance(schema, list):
        return [_without_titles(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            # Here the keys are names of parameters and types, one of which may well be "title".
            cleaned[key] = {name: _without_titles(each) for name, each in value.items()}
        elif key != "title":
            cleaned[key] = (
                value if key in ("default", "const", "enum", "examples") else _without_titles(value)
            )
    return cleaned


def _explain(name: str, parameters: Mapping[str, Any], error: ValidationError) -> str:
    known = parameters.get("properties", {})
    lines = [_explain_one(detail, known) for detail in error.errors(include_url=False)]
    return f"Wrong arguments for {name}: " + "; ".join(lines)


def _explain_one(detail: Any, known: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"'{where}' is missing ({_expected(known.get(where, {}))})"
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        names = ", ".join(f"'{each}'" for each in known) or "none"
        return f"'{where}' is not a parameter; there are: {names}"
    value = repr(detail["input"])
    if len(value) > MAX_SHOWN_CHARS:
        value = value[:MAX_SHOWN_CHARS] + "…"
    return f"'{where}' is {value}: {detail['msg']}"


def _expected(schema: Mapping[str, Any]) -> str:
    kind = str(schema.get("type", "required"))
    return f"{kind}: {schema['description']}" if "description" in schema else kind


def _as_result(value: Any) -> ToolResult:
    if isinstance(value, ToolResult):
        return ToolResult(_bounded(_as_text(value.content)), value.details, bool(value.terminate))
    return ToolResult(_bounded(_as_text(value)))


def _as_text(value: Any) -> str:
    """Text as it is, nothing as a word, everything else as JSON. Raises ToolError if JSON cannot carry it."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return "done"
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    try:
        return to_json(tidied(value), inf_nan_mode="strings").decode()
    except Exception as error:  # what a foreign object is made into text with is foreign, too
        raise ToolError(
            f"The tool returned something that is neither text nor JSON: {said(error)}"
        ) from error


def _bounded(text: str) -> str:
    text = storable(text)
    kept = text[:MAX_RESULT_CHARS].encode()[:MAX_RESULT_BYTES].decode(errors="ignore")
    if len(kept) == len(text):
        return text
    return (
        f"{kept}\n\n[Cut here: the result has {len(text):,} characters, the first {len(kept):,} are above.]"
    )


def _origin(each: Tool) -> str:
    code = getattr(inspect.unwrap(each.function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(each.function)
