"""Tools: Python functions that a model may call.

`@tool` turns a function into a `Tool`: its name, its description and the JSON Schema of its parameters come
from the signature and the docstring, and what the model sends is validated before the function runs. This
module knows neither the agent loop nor Django; the loop turns a raised exception into a failed call.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict, cast, overload

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from entities.catalog.sanitize import said, storable, tidied
from entities.conf import conf
from entities.exceptions import InvalidInput, ToolError
from entities.types.foreign import called, timeout_fault
from entities.types.signature import Arguments, parse_docstring, sent_schema, signature_model

MAX_RESULT_CHARS = 100_000
"""A longer result is cut: it would crowd everything else out of the model's window."""

MAX_RESULT_BYTES = 150_000
"""The same in UTF-8, so that the call's event can carry it beside its arguments."""

MAX_SHOWN_CHARS = 200
"""How much of a wrong argument an error message repeats."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


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
            # As JSON, which is what a model sent: strict models take a date from it, but not from a `str`.
            data = to_json(dict(arguments), inf_nan_mode="constants")
            model = self.arguments_model.model_validate_json(data)
        except PydanticSerializationError as error:
            raise ToolError(f"Wrong arguments for {self.name}: not JSON: {error}") from None
        except ValidationError as error:
            raise ToolError(_explain(self.name, self.parameters, error)) from None
        named = model.parameters_by_field if isinstance(model, Arguments) else {}
        values = {named.get(name, name): getattr(model, name) for name in type(model).model_fields}
        return values | (model.model_extra or {})

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Validate, run, and put the result into words for the model.

        A plain function runs in a thread, so that it may block; so do the validators of its arguments, and
        what puts its result into words. Raises ToolError for wrong arguments, what the function raises, and
        `ForeignError` and `ForeignTimeout` as `foreign.called` does.
        """
        work = self._awaited if inspect.iscoroutinefunction(self.function) else self._returned
        limit = self.timeout or conf.tool_timeout
        return cast("ToolResult", await called(partial(work, arguments), limit=limit, name=self.name))

    def _returned(self, arguments: Mapping[str, Any]) -> ToolResult | Awaitable[ToolResult]:
        value = self.function(**self.validate(arguments))
        return _as_result_of(value) if inspect.isawaitable(value) else _as_result(value)

    async def _awaited(self, arguments: Mapping[str, Any]) -> ToolResult:
        return _as_result(await self.function(**self.validate(arguments)))

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
    Raises InvalidInput for what a model's API would refuse, such as a name with a space, if a type cannot be
    resolved or be JSON, or if the signature has positional-only or starred parameters.
    """
    # Types defined inside a function are visible only in its frame: look them up where the decorator stands.
    nearby = dict(sys._getframe(1).f_locals)

    def decorate(function: Callable[..., Any]) -> Tool:
        return _made(
            function, nearby, name=name, description=description, retry_safe=retry_safe, timeout=timeout
        )

    return decorate(function) if function is not None else decorate


def as_tool(value: Any, nearby: Mapping[str, Any] | None = None) -> Tool:
    """A tool as it is, and a plain function as one; `nearby` are names that its types may refer to.

    Raises InvalidInput as `tool` does, and for what is neither.
    """
    if isinstance(value, Tool):
        return value
    if not callable(value):
        raise InvalidInput(f"{value!r:.200} cannot be a tool: give a function, or what @tool made of one.")
    return _made(value, nearby or {})


def _made(
    function: Callable[..., Any],
    nearby: Mapping[str, Any],
    *,
    name: str | None = None,
    description: str | None = None,
    **options: Any,
) -> Tool:
    summary, documented = parse_docstring(inspect.getdoc(function) or "")
    own_name = name or str(getattr(function, "__name__", ""))
    model = signature_model(own_name, function, documented, nearby)
    return from_model(own_name, description or summary, model, function, **options)


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

    For tools that are generated. Who calls sees fields by their aliases, the function by their names, and
    extra ones if the model keeps them. Raises InvalidInput for what a model's API would refuse.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot name a tool: use 1 to 64 letters, digits, '_' or '-'.")
    if found := timeout_fault(timeout):
        raise InvalidInput(f"The tool {name}: {found}.")
    schema = sent_schema(name, arguments_model)
    return Tool(name, description.strip(), schema, function, arguments_model, retry_safe, timeout)


def index_tools(
    tools: Iterable[Tool | Callable[..., Any]], nearby: Mapping[str, Any] | None = None
) -> dict[str, Tool]:
    """The tools by name; plain functions become tools, as by `as_tool`.

    Raises InvalidInput if two have the same name: a model could not tell them apart.
    """
    found: dict[str, Tool] = {}
    for each in (as_tool(each, nearby) for each in tools):
        if each.name in found:
            first, second = _origin(found[each.name]), _origin(each)
            raise InvalidInput(
                f"Two tools are named {each.name!r}: {first} and {second}. Rename one of them."
            )
        found[each.name] = each
    return found


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


async def _as_result_of(value: Awaitable[Any]) -> ToolResult:
    return _as_result(await value)


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
