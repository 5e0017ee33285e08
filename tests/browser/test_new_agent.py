"""A new agent from its type's form, with errors where they belong."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import expect_answered
from tests.support.browser import Console
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

SHOW_WORKERS = """
from entities.models import EntityType
EntityType.objects.filter(name="worker").update(hidden=False)
"""


def test_an_agent_is_made_from_a_form_with_a_first_message(site: Installation, wide: Page, key: str) -> None:
    wide.goto(site.url)
    wide.get_by_role("link", name="New agent").click()
    wide.get_by_role("link", name=re.compile("^debate")).click()
    expect(wide.get_by_role("heading", name="New debate")).to_be_visible()
    wide.get_by_label("Id").fill(key)
    wide.get_by_label(re.compile(r"^\s*First message")).fill("Debate: is tea better than coffee?")
    wide.get_by_role("button", name="Create").click()

    wide.wait_for_url(f"{site.url}/debate/{key}/")
    expect(wide.locator(".message-body")).to_have_text("Debate: is tea better than coffee?")
    expect(wide.locator(".child")).to_have_count(2)


def test_a_bad_or_a_taken_id_is_refused_at_its_field(
    site: Installation, wide: Page, console: Console, key: str
) -> None:
    console.allow("400 .Bad Request")
    wide.goto(f"{site.url}/agents/new/assistant/")
    wide.get_by_label("Id").fill("not an id")
    wide.get_by_label(re.compile(r"^\s*First message")).fill("Hello")
    wide.get_by_role("button", name="Create").click()

    field = wide.locator(".field-bad")
    expect(field).to_have_count(1)
    expect(field.get_by_label("Id")).to_have_value("not an id")
    expect(field.get_by_role("alert")).to_be_visible()
    expect(wide.get_by_label(re.compile(r"^\s*First message"))).to_have_value("Hello")

    wide.get_by_label("Id").fill(key)
    wide.get_by_role("button", name="Create").click()
    wide.wait_for_url(f"{site.url}/assistant/{key}/")
    expect_answered(wide)
    wide.goto(f"{site.url}/agents/new/assistant/")
    wide.get_by_label("Id").fill(key)
    wide.get_by_role("button", name="Create").click()
    expect(wide.locator(".field-bad").get_by_label("Id")).to_have_value(key)
    expect(wide.locator(".field-bad").get_by_role("alert")).to_contain_text(key)


def test_a_schemas_fields_become_a_form_with_errors_at_each(
    site: Installation, wide: Page, console: Console, key: str
) -> None:
    console.allow("400 .Bad Request")
    site.manage("shell", "--no-imports", "-c", SHOW_WORKERS)
    wide.goto(f"{site.url}/agents/new/worker/")
    prompt, tools, state = (
        wide.locator(f"#id_arg-{name}") for name in ("system_prompt", "tools", "shared_db")
    )
    expect(wide.get_by_label("System prompt")).to_have_id("id_arg-system_prompt")
    wide.get_by_label("Id").fill(key)
    state.fill('{"id": ')
    wide.get_by_role("button", name="Create").click()

    bad = wide.locator(".field-bad")
    expect(bad).to_have_count(2)
    expect(bad.filter(has=prompt).get_by_role("alert")).to_contain_text("required")
    expect(bad.filter(has=state).get_by_role("alert")).to_contain_text("not JSON")
    for field in (prompt, state):
        expect(field).to_have_attribute("aria-invalid", "true")
        described = field.get_attribute("aria-describedby") or ""
        for ident in described.split():
            expect(wide.locator(f"[id='{ident}']")).to_be_visible()

    prompt.fill("You tell the time.")
    state.fill("")
    tools.fill("hammer")
    wide.get_by_role("button", name="Create").click()
    expect(bad).to_have_count(1)
    expect(bad.filter(has=tools).get_by_role("alert")).to_contain_text("tools[0]")
    tools.fill("now")
    wide.get_by_label(re.compile(r"^\s*First message")).fill("What time is it?")
    wide.get_by_role("button", name="Create").click()

    wide.wait_for_url(f"{site.url}/worker/{key}/")
    expect(wide.locator(".tool-name")).to_have_text("now")
    expect_answered(wide)
