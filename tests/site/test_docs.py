"""The documents tell the truth: their code runs, and what they name is there."""

from __future__ import annotations

import argparse
import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import BaseCommand, call_command, get_commands, load_command_class

from agents_site.api.routes import ROUTES
from entities.api import Tool, registry
from entities.catalog.events import EVENTS
from entities.conf import conf
from entities.context import AgentConfig
from entities.testing.runtime import (
    configured,
    events,
    handle_all,
    look,
    offline,
    own_types,
    spawn,
    tell,
    texts,
    values,
    wakes,
)
from entities.toolbox.shared import shared_tools
from entities.types.registry import TypeOptions
from tests.support.processes import ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in DOCUMENTS}
EVERYTHING = "\n".join(PAGES.values())


def code(page: str, number: int = 0) -> str:
    """A page's Python examples, by number."""
    found: list[str] = re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)
    return found[number]


def run(page: str, number: int = 0, **known: Any) -> dict[str, Any]:
    """Run an example as a module of its own. Returns what it defines."""
    names: dict[str, Any] = {"__name__": f"documented_{number}", **known}
    exec(compile(code(page, number), page, "exec", dont_inherit=True), names)
    return names


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """What an example defines is forgotten; the offline model speaks at once; nothing waits to fail again."""
    with own_types(), configured(PROVIDERS=offline(0), RETRY_SECONDS=0.002):
        yield


async def nothing_failed(url: str) -> None:
    assert [wake.error for wake in await wakes(url) if wake.error] == []
    assert await values(url, "error") == []


# -- code


@pytest.mark.django_db(transaction=True)
async def test_the_readmes_agent_answers() -> None:
    source = [line for line in code("README.md").splitlines() if line.strip()]
    assert len(source) <= 10, "a ten-line agent"
    run("README.md")
    url = await spawn("greeter", message="Hello!")
    await handle_all()

    assert len(await texts(url)) == 1
    await nothing_failed(url)


@pytest.mark.django_db(transaction=True)
async def test_the_tutorials_researcher_puts_its_workers_to_work_twice() -> None:
    run("docs/tutorial.md")
    url = await spawn("researcher", "bee", message="bees")
    await handle_all()
    await tell(url, "wasps")
    await handle_all()

    answers = await texts(url)
    assert ["bees" in answers[0].lower(), "wasps" in answers[1].lower()] == [True, True]
    assert all("**benefits**" in answer and "**risks**" in answer for answer in answers)
    children = [row["url"] for row in await values(url, "manifest") if row["kind"] == "child"]
    assert children == ["/worker/bee-benefits", "/worker/bee-risks"]
    for each in (url, *children):
        await nothing_failed(each)

    names = run("docs/tutorial.md", 1)
    names["test_the_researcher_is_defined"]()


@pytest.mark.django_db(transaction=True)
async def test_the_editor_counts_what_is_in_its_shared_state() -> None:
    names = run("docs/how-to/share-state.md")
    url = await spawn("editor", message="A text.")
    await handle_all()

    assert await texts(url) == ["0 reviews so far, 0 points."]
    await nothing_failed(url)
    offered = {tool.name for tool in shared_tools(_Shared(names["SCHEMA"]))}  # type: ignore[arg-type]
    assert offered == {"read_reviews", "write_reviews", "update_reviews", "delete_reviews"}


class _Shared(dict[str, Any]):
    """Collections by name, with nothing behind them."""

    def __init__(self, schema: Any) -> None:
        super().__init__({name: type("Collection", (), {"spec": spec}) for name, spec in schema.items()})


@pytest.mark.django_db(transaction=True)
async def test_the_example_of_a_test_passes() -> None:
    await run("docs/how-to/test-your-agents.md")["test_it_adds_and_answers"]()


@pytest.mark.django_db(transaction=True)
async def test_the_example_of_a_fixture_forgets_what_a_test_defines() -> None:
    fixture = run("docs/how-to/test-your-agents.md", 1)["types"].__wrapped__

    with configured(RETRY_SECONDS=9.0), contextlib.contextmanager(fixture)() as types:
        types.define("passing")(registry.get("assistant").handler)
        url = await spawn("passing", message="Hello")
        await handle_all()
        assert len(await texts(url)) == 1
        assert conf.retry_seconds == 0.002

    assert "passing" not in registry


async def test_the_example_of_a_tool_is_one() -> None:
    found = run("docs/how-to/write-tools.md")["search_orders"]

    assert isinstance(found, Tool)
    assert found.retry_safe
    assert found.parameters["properties"]["limit"]["description"] == "How many at the most."
    assert '"customer":"12"' in (await found.call({"customer": "12"})).content
    with pytest.raises(Exception, match="'x' is not a customer's number"):
        await found.call({"customer": "x"})


def test_every_example_is_python() -> None:
    for page, text in PAGES.items():
        for number, source in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL)):
            compile(source, f"{page}, example {number + 1}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_no_example_needs_what_the_wheel_does_not_carry() -> None:
    sources = "".join(re.findall(r"```python\n(.*?)```", EVERYTHING, re.DOTALL))

    assert not re.search(r"^\s*(?:from|import) tests\b", sources, re.MULTILINE)


# -- names


def test_every_link_leads_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_target_of_make_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(
        re.findall(
            r"\bmake ([a-z-]+)\b", "".join(re.findall(r"```sh\n.*?```|`[^`\n]+`", EVERYTHING, re.DOTALL))
        )
    )

    assert named <= targets
    listed = re.findall(r"`make ([a-z-]+)`", PAGES["docs/reference/commands.md"])
    assert targets - {"help"} - set(listed) == set()


def test_what_is_said_of_a_room_names_all_its_modules() -> None:
    """Where it names one of them; of some rooms the table says only what they are for."""
    missing = {}
    app = ""
    for line in PAGES["docs/architecture.md"].splitlines():
        if heading := re.match(r"\| `(shared_state|entities)` \| owns \|", line):
            app = heading[1]
        row = re.match(r"\| `(\w+)` \| (.*) \|$", line)
        if row is None or not (ROOT / app / row[1]).is_dir():
            continue
        named = set(re.findall(r"`(\w+)`", row[2]))
        paths = [path for path in (ROOT / app / row[1]).iterdir() if path.suffix == ".py" or path.is_dir()]
        modules = {path.stem for path in paths} - {"__init__", "__pycache__"}
        if named & modules and modules - named:
            missing[f"{app}.{row[1]}"] = modules - named

    assert app
    assert missing == {}


def options_of(command: str) -> set[str]:
    """The options that are a command's own."""
    ours = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    common = BaseCommand().create_parser("manage.py", command)
    return _long(ours) - _long(common)


def _long(parser: argparse.ArgumentParser) -> set[str]:
    return set(re.findall(r"--[a-z-]+", parser.format_usage()))


@pytest.mark.parametrize("command", ["quickstart", "serve", "run_worker", "crashtest"])
def test_a_commands_options_are_documented(command: str) -> None:
    line = next(
        row for row in PAGES["docs/reference/commands.md"].splitlines() if f"manage.py {command}" in row
    )

    assert set(re.findall(r"--[a-z-]+", line)) == options_of(command)


@pytest.mark.django_db(transaction=True)
async def test_the_documented_archive_is_read_as_documented(tmp_path: Path) -> None:
    settings = run("docs/how-to/keep-it-for-years.md")["ENTITIES"]
    read = run("docs/how-to/keep-it-for-years.md", 1)["events"]
    url = await spawn("assistant", "diary", message="Hello.")
    await handle_all()
    before = [event.wire() for event in await events(url)]

    options = {"to": tmp_path / "diary.jsonl", "keep": 5}
    await look(call_command, "agents", "archive", url, **options)

    assert read(tmp_path / "diary.jsonl") == before[:-5]
    assert {name: getattr(conf, name.lower()) for name in settings} == settings


def test_every_command_is_there() -> None:
    assert set(re.findall(r"manage\.py ([a-z_]+)", EVERYTHING)) <= set(get_commands())


def test_every_variable_is_documented_and_read() -> None:
    source = (ROOT / "agents_site" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    read |= {f"AGENTS_{name}" for name in re.findall(r'"([A-Z_]+)"', _loop_of(source))}
    table = set(re.findall(r"`([A-Z][A-Z_]{4,})`", PAGES["docs/reference/settings.md"]))
    inside = {"AGENTS_LOCAL", "AGENTS_ANTHROPIC_API_KEY", "AGENTS_ANTHROPIC_BASE_URL"}

    assert read - inside <= table
    assert {name for name in table if name.startswith("AGENTS_")} <= read
    named = set(re.findall(r"\b(AGENTS_[A-Z_]+)\b", EVERYTHING))
    assert named <= read


def _loop_of(source: str) -> str:
    """The variables that settings read in a loop."""
    found = re.search(r"^for key in \(([^)]*)\)", source, re.MULTILINE)
    return found[1] if found else ""


def test_every_address_of_the_api_is_documented() -> None:
    documented = set(re.findall(r"`(GET|PUT|POST) /api/([^?` ]+)", PAGES["docs/reference/http.md"]))
    there = {(route.method, re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", route.pattern)) for route in ROUTES}

    assert documented == there


def test_every_event_is_documented() -> None:
    table = set(re.findall(r"`([a-z_]+)`", PAGES["docs/reference/events.md"]))

    assert set(EVENTS) <= table


def test_the_options_of_types_and_agents_are_documented() -> None:
    page = PAGES["docs/reference/context.md"]

    for name in [*TypeOptions.__dataclass_fields__, *AgentConfig.__dataclass_fields__]:
        assert re.search(rf"`{name}`|[ (]{name}=|`use_agent\({name}", page), name
    defaults = AgentConfig("")
    assert f"`max_steps` ({defaults.max_steps})" in page
    assert f"`max_tokens` ({defaults.max_tokens:,})" in page
    assert f"`timeout` ({defaults.timeout:g} s a step)" in page


def test_no_document_is_an_orphan() -> None:
    linked = {
        (path.parent / target).resolve()
        for path in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    }
    folders = {target for target in linked if target.is_dir()}

    for path in DOCUMENTS:
        assert path.name == "README.md" or path in linked or path.parent in folders, path.name


def test_the_types_that_ship_are_named() -> None:
    for found in registry.all():
        assert found.name in EVERYTHING
