"""A run of hundreds of steps: the page shows the newest, and says at once what all of them came to."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import begin, expect_answered
from tests.browser.forging import append_all
from tests.support.processes import Installation

pytestmark = pytest.mark.browser

STEPS = 201
RUN = "9.0"
STARTED = {"status": "started", "provider": "test", "started_at": "2026-11-20T12:00:00.000+00:00"}


def step(number: int) -> tuple[str, str, dict[str, Any], str]:
    """A finished step, which says what the run has come to with it."""
    usage = {"input_tokens": 1000 * number, "output_tokens": 40 * number, "cost_usd": 0.003 * number}
    value = {
        "run_id": RUN,
        "step_number": number,
        "status": "completed",
        "finish_reason": "tool_use",
        "input_tokens": 1000,
        "output_tokens": 40,
        "cost_usd": 0.003,
        "model_id": "claude-test",
        "duration_ms": 900,
        "run_totals": {"steps": number, **usage},
    }
    return "step", f"{RUN}-s{number}", value, "insert"


def test_a_long_run_says_at_once_how_many_steps_it_had(site: Installation, wide: Page) -> None:
    url = begin(wide, site, "Hello")
    expect_answered(wide)
    began = ("run", RUN, STARTED, "insert")
    append_all(site, url, [began, *(step(number) for number in range(1, STEPS + 1))])

    wide.goto(f"{site.url}{url}/")

    run = wide.locator(f".run[aria-label='Run {RUN}']")
    total = run.locator(".run-total")
    expect(total).to_have_text("201 steps · 201k in · 8.0k out · $0.60 · claude-test")
    shown = run.locator(".step").count()
    assert 0 < shown < STEPS
    # The steps before change nothing about it, and one that comes is counted on.
    wide.evaluate("document.querySelector('[data-earlier]').click()")
    expect(run.locator(".step")).not_to_have_count(shown)
    expect(total).to_have_text(re.compile(r"^201 steps"))
    append_all(site, url, [step(STEPS + 1)])
    expect(total).to_have_text(re.compile(r"^202 steps · 202k in"))
