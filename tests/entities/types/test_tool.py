"""A tool is made from a function's signature and docstring, and guards it."""

import threading
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from entities.exceptions import InvalidInput, ToolError
from entities.types.tool import MAX_RESULT_CHARS, Tool, ToolResult, from_model, index_tools, tool


@tool(retry_safe=True)
async def search(query: str, limit: int = 5, scope: Literal["all", "mine"] = "all") -> list[str]:
    """Search the knowledge base.

    Finds whole words only.

    Args:
        query: What to look for,
            in plain words.
        limit (int): How many hits at the most.
        scope: Whose entries.

    Returns:
        The titles.

    Raises:
        KeyError: never shown to the model.
    """
    return [f"{query} {number} {scope}" for number in range(limit)]


def test_name_and_description_come_from_the_function() -> None:
    assert search.name == "search"
    assert search.description == (
        "Search the knowledge base.\n\nFinds whole words only.\n\nReturns:\n    The titles."
    )
    assert search.retry_safe


def test_parameters_are_a_json_schema_with_the_docstrings_descriptions() -> None:
    assert search.parameters == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for, in plain words."},
            "limit": {"type": "integer", "default": 5, "description": "How many hits at the most."},
            "scope": {
                "type": "string",
                "enum": ["all", "mine"],
                "default": "all",
                "description": "Whose entries.",
            },
        },
        "required": ["query"],
        "additionalProperties": False,
    }


def test_spec_holds_what_a_model_needs_and_nothing_else() -> None:
    assert set(search.spec()) == {"name", "description", "parameters"}


async def test_result_that_is_not_text_becomes_json() -> None:
    result = await search.call({"query": "wiki", "limit": 2})
    assert result == ToolResult('["wiki 0 all","wiki 1 all"]')


async def test_text_is_returned_as_it_is_and_nothing_as_a_word() -> None:
    @tool
    def speak(text: str | None = None) -> str | None:
        """Speak."""
        return text

    assert (await speak.call({"text": "Grüße, {}"})).content == "Grüße, {}"
    assert (await speak.call({})).content == "done"


async def test_plain_function_runs_in_a_thread() -> None:
    @tool
    def where() -> str:
        """Tell the thread."""
        return threading.current_thread().name

    assert (await where.call({})).content != threading.current_thread().name


async def test_pydantic_models_go_in_and_out() -> None:
    class Item(BaseModel):
        title: str
        done: bool = False

    @tool
    async def finish(item: Item) -> Item:
        """Finish an item."""
        assert isinstance(item, Item)
        return item.model_copy(update={"done": True})

    assert (await finish.call({"item": {"title": "Tea"}})).content == '{"title":"Tea","done":true}'
    assert finish.parameters["$defs"]["Item"]["properties"]["title"] == {"type": "string"}


async def test_tool_result_passes_through_with_details_and_terminate() -> None:
    @tool
    async def stop() -> ToolResult:
        """Stop."""
        return ToolResult("bye", details={"rows": 3}, terminate=True)

    assert await stop.call({}) == ToolResult("bye", {"rows": 3}, terminate=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "'query' is missing (string: What to look for, in plain words.)"),
        ({"query": "a", "limit": "many"}, "'limit' is 'many': Input should be a valid integer"),
        ({"query": "a", "color": 1}, "'color' is not a parameter; there are: 'query', 'limit', 'scope'"),
        ({"query": "a", "scope": "his"}, "'scope' is 'his': Input should be 'all' or 'mine'"),
    ],
)
async def test_wrong_argument_is_named_with_its_value_and_what_is_expected(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ToolError) as caught:
        await search.call(arguments)
    assert str(caught.value).startswith("Wrong arguments for search: ")
    assert message in str(caught.value)


async def test_long_wrong_value_is_cut_in_the_message() -> None:
    with pytest.raises(ToolError) as caught:
        await search.call({"query": "a", "limit": "x" * 10_000})
    assert len(str(caught.value)) < 600


async def test_function_never_runs_with_wrong_arguments() -> None:
    ran = []

    @tool
    async def delete(count: Annotated[int, Field(ge=1, le=3)]) -> None:
        """Delete."""
        ran.append(count)

    with pytest.raises(ToolError):
        await delete.call({"count": 4})
    await delete.call({"count": 3})
    assert ran == [3]


async def test_exception_of_the_function_is_not_caught() -> None:
    @tool
    async def fail() -> None:
        """Fail."""
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await fail.call({})


async def test_result_longer_than_the_limit_is_cut_with_a_note() -> None:
    @tool
    async def pour() -> str:
        """Pour."""
        return "x" * 250_000

    content = (await pour.call({})).content
    assert content.startswith("x" * MAX_RESULT_CHARS + "\n\n[Cut here: the result has 250,000 characters")
    assert len(content) < MAX_RESULT_CHARS + 200


async def test_result_that_json_cannot_carry_is_a_clear_error() -> None:
    @tool
    async def odd() -> object:
        """Return something odd."""
        return object()

    with pytest.raises(ToolError, match="neither text nor JSON"):
        await odd.call({})


async def test_parameters_may_have_names_that_pydantic_uses_itself() -> None:
    @tool
    async def send(json: str, copy: int, title: str, model_name: str = "m") -> list[object]:
        """Send."""
        return [json, copy, title, model_name]

    assert list(send.parameters["properties"]) == ["json", "copy", "title", "model_name"]
    assert (await send.call({"json": "{}", "copy": 2, "title": "t"})).content == '["{}",2,"t","m"]'


def test_name_and_description_can_be_given() -> None:
    @tool(name="look_up", description="Look it up.")
    def anything(word: str) -> str:
        """Something else."""
        return word

    assert (anything.name, anything.description) == ("look_up", "Look it up.")
    assert anything("still callable") == "still callable"


def test_two_tools_with_one_name_are_refused_with_both_places() -> None:
    @tool(name="search")
    def other() -> None:
        """Other."""

    with pytest.raises(InvalidInput, match=r"named 'search'.*test_tool\.py:\d+ and .*test_tool\.py:\d+"):
        index_tools([search, other])
    assert index_tools([search]) == {"search": search}


def test_starred_parameters_are_refused() -> None:
    def loose(*words: str) -> None:
        """Take anything."""

    with pytest.raises(InvalidInput, match=r"'\*words"):
        tool(loose)


def test_name_that_models_refuse_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot name a tool"):
        tool(name="with space")(lambda: None)


def test_type_that_json_cannot_carry_is_refused_when_the_tool_is_defined() -> None:
    def strange(lock: threading.Event) -> None:
        """Take a lock."""

    with pytest.raises(InvalidInput, match="type that JSON cannot carry"):
        tool(strange)


async def test_generated_tool_takes_its_parameters_from_a_model() -> None:
    class Row(BaseModel):
        key: str
        side: Literal["pro", "con"]

    async def write(**row: Any) -> str:
        return ", ".join(f"{name}={value}" for name, value in row.items())

    made = from_model("write_arguments", "Write a row.", Row, write, retry_safe=True)
    assert isinstance(made, Tool)
    assert made.parameters["required"] == ["key", "side"]
    assert (await made.call({"key": "a1", "side": "pro"})).content == "key=a1, side=pro"
    with pytest.raises(ToolError, match="'side' is 'no'"):
        await made.call({"key": "a1", "side": "no"})


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_that_cannot_pass_is_refused(timeout: float) -> None:
    with pytest.raises(InvalidInput, match="seconds above 0"):
        tool(name="ok", timeout=timeout)(lambda: "ok")
