"""Writing to an agent and reading its answer while it is said."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import forging
from tests.browser.acting import begin, composer, expect_answered, journal, script, send
from tests.browser.world import CODE
from tests.support.processes import Installation

pytestmark = pytest.mark.browser


def test_an_answer_is_read_while_it_is_said(talking: Installation, wide: Page) -> None:
    wide.add_init_script(script("journal"))
    begin(wide, talking, CODE)
    expect(wide.locator("h1 + .status")).to_have_attribute("data-status", "running")
    expect(wide.locator(".run-foot.run-started")).to_contain_text("working")
    expect_answered(wide)

    (lengths,) = journal(wide)["lengths"].values()
    assert lengths == sorted(lengths)
    assert len([length for length in lengths if length]) > 5, lengths
    expect(wide.locator("h1 + .status")).to_have_attribute("data-status", "idle")
    expect(wide.get_by_role("heading", level=1)).to_have_text(CODE)
    expect(wide).to_have_title(re.compile(re.escape(CODE)))


def test_a_finished_answer_has_markdown_and_highlighted_code(talking: Installation, wide: Page) -> None:
    begin(wide, talking, CODE)
    expect_answered(wide)

    answer = wide.locator(".text.prose")
    expect(answer.locator("strong").first).to_contain_text("Put this into")
    expect(answer.locator(".code-block .code-language")).to_have_text(re.compile("python", re.IGNORECASE))
    keyword = answer.locator(".code-block .k", has_text="def").first
    plain = answer.locator("p").first
    color = "(element) => getComputedStyle(element).color"
    assert keyword.evaluate(color) != plain.evaluate(color)
    assert "**" not in answer.inner_text()


def test_what_is_whole_is_formatted_while_the_rest_is_still_said(talking: Installation, wide: Page) -> None:
    begin(wide, talking, CODE)

    streaming = wide.locator(".text.streaming")
    expect(streaming.locator(".code-block code.raw")).to_contain_text("def")
    expect(streaming.locator(".code-block .code-language")).to_have_text(re.compile("python", re.IGNORECASE))
    expect(streaming.locator("p strong").first).to_contain_text("Put this into")
    streaming.locator("p").first.evaluate("(element) => { element.seen = true; }")
    expect(streaming.locator(".code-block .k", has_text="def").first).to_be_visible()  # it goes on after it
    expect_answered(wide)
    # What was whole stayed in its place, with whatever the reader had selected in it.
    assert wide.locator(".text.prose p").first.evaluate("(element) => element.seen")


def test_a_thought_is_read_while_it_is_thought_and_then_folds(talking: Installation, wide: Page) -> None:
    url = begin(wide, talking, "Hello")
    expect_answered(wide)
    moment = "2026-01-01T12:00:0{}+00:00"
    # The offline model does not think.
    row = {"key": "1.0-s1-r0", "run_id": "1.0", "status": "streaming", "started_at": moment.format(0)}
    forging.append(talking, url, "insert", "reasoning", "1.0-s1-r0", row)
    piece = {"reasoning_id": "1.0-s1-r0", "delta": "They greet me, so", "start": 0}
    forging.append(talking, url, "insert", "reasoning_delta", "1.0-s1-r0-0", piece)

    thought = wide.locator("details.reasoning")
    expect(thought.locator(".reasoning-body")).to_have_text("They greet me, so")
    whole = {**row, "status": "completed", "content": "I **greet** back.", "ended_at": moment.format(2)}
    forging.append(talking, url, "update", "reasoning", "1.0-s1-r0", whole)
    expect(thought.locator("summary")).to_have_text("Thought for 2.0 s")
    expect(thought.locator(".reasoning-body")).to_be_hidden()
    thought.locator("summary").click()
    expect(thought.locator("strong")).to_have_text("greet")


def test_a_finished_run_says_how_long_it_took_and_what_it_used(talking: Installation, wide: Page) -> None:
    begin(wide, talking, CODE)
    expect_answered(wide)

    expect(wide.locator(".run-foot")).to_have_text(re.compile(r"done in \d+(\.\d)? s\s+offline model"))
    total = wide.locator(".run-total")
    expect(total).to_have_text(re.compile(r"1 step · \S+ in · \d+ out · offline"))
    total.click()
    expect(wide.locator(".steps .step")).to_have_text(
        re.compile(r"step 1\s.* in\s.* out\s.*finished", re.DOTALL)
    )


def test_a_tool_card_shows_its_main_argument_and_the_rest_when_opened(
    talking: Installation, wide: Page
) -> None:
    begin(wide, talking, "Remember that my cat is called Miso")
    expect_answered(wide)

    card = wide.locator("details.tool")
    expect(card.locator(".tool-name")).to_have_text("remember")
    expect(card.locator(".tool-argument")).to_contain_text("cat is called Miso")
    expect(card.locator(".tool-state")).to_have_text(re.compile(r"\d+ ms|\d\.\d s"))
    card.locator("summary").click()
    expect(card.get_by_role("heading", name="Result")).to_be_visible()
    expect(card).to_contain_text("Remembered as note-1.")


def test_enter_sends_and_shift_enter_breaks_the_line(talking: Installation, wide: Page) -> None:
    begin(wide, talking, "Hello")
    expect_answered(wide)

    composer(wide).press_sequentially("first line")
    composer(wide).press("Shift+Enter")
    composer(wide).press_sequentially("second line")
    expect(wide.locator(".message")).to_have_count(1)
    composer(wide).press("Enter")

    expect(wide.locator(".message-body").last).to_have_text("first line\nsecond line", use_inner_text=True)
    expect(composer(wide)).to_have_value("")
    expect_answered(wide, runs=2)


def test_a_draft_is_kept_over_a_reload_until_it_is_sent(talking: Installation, wide: Page) -> None:
    begin(wide, talking, "Hello")
    expect_answered(wide)
    composer(wide).fill("half a tho")

    wide.reload()

    expect(composer(wide)).to_have_value("half a tho")
    send(wide, "half a thought")
    expect(wide.locator(".message")).to_have_count(2)
    wide.reload()
    expect(composer(wide)).to_have_value("")
    expect(wide.locator(".message-body").last).to_have_text("half a thought")


def test_what_a_person_writes_is_never_markup(talking: Installation, wide: Page) -> None:
    text = "<img src=x onerror=alert(1)> & <b>bold</b> **stars**"
    begin(wide, talking, text)
    expect_answered(wide)
    wide.reload()

    expect(wide.locator(".message-body").first).to_have_text(text)
    expect(wide.locator(".message-body b, .timeline img")).to_have_count(0)
