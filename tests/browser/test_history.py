"""A long conversation: the newest window first, earlier rows on demand, and the reader's place is kept."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import composer, wait_for
from tests.browser.world import begin, resting, say
from tests.support.client import Client
from tests.support.processes import Installation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser

MESSAGES = 40
AT_END = "document.scrollingElement.scrollHeight - innerHeight - document.scrollingElement.scrollTop <= 40"
TOP_OF = "(id) => document.getElementById(id).getBoundingClientRect().top"


@pytest.fixture(scope="module")
def person(site: Installation) -> Client:
    """The same person in another browser."""
    found = Client(site.url)
    found.get("/")
    return found


@pytest.fixture(scope="module")
def conversation(site: Installation, person: Client) -> str:
    """The address of an agent that was told many numbers."""
    begin(person, "long", "number 0")
    for number in range(1, MESSAGES):
        say(person, "/assistant/long", f"number {number}")
    wait_until(lambda: answered(person, "/assistant/long", f"number {MESSAGES - 1}<"), "the last answer", 60)
    wait_until(lambda: resting(person, "/assistant/long"), "the agent to rest")
    return "/assistant/long"


def answered(person: Client, url: str, message: str) -> bool:
    """Whether a run was completed after a message. One run may answer several."""
    _, _, after = person.get(f"{url}/")[1].partition(message)
    return 'data-run-status="completed"' in after and 'data-run-status="started"' not in after


def numbers(page: Page) -> list[int]:
    """What the messages on the page say, in order."""
    return [int(text.removeprefix("number ")) for text in page.locator(".message-body").all_inner_texts()]


def test_the_newest_messages_are_there_first(site: Installation, wide: Page, conversation: str) -> None:
    wide.goto(f"{site.url}{conversation}/")

    expect(wide.locator(".run").last).to_be_in_viewport()
    wait_for(wide, AT_END)
    shown = numbers(wide)
    assert shown[-1] == MESSAGES - 1
    assert 0 < shown[0] == MESSAGES - len(shown)
    expect(wide.locator("[data-latest]")).to_be_hidden()


def test_earlier_rows_come_without_moving_what_is_read(
    site: Installation, wide: Page, conversation: str
) -> None:
    wide.goto(f"{site.url}{conversation}/")
    wait_for(wide, AT_END)
    first = numbers(wide)[0]
    seen = wide.locator(".message").nth(1).get_attribute("id")
    # The page notices in its own time that it was scrolled; look at the place just before it does.
    before = wide.evaluate(
        f"(id) => {{ document.scrollingElement.scrollTop = 150; return ({TOP_OF})(id); }}", seen
    )

    wait_for(wide, f"document.querySelector('.message-body').textContent.split(' ')[1] < {first}")

    assert abs(wide.evaluate(TOP_OF, seen) - before) <= 2
    for _ in range(10):
        if not wide.get_by_role("button", name="Earlier").count():
            break
        # Scrolling asks for more; the button is for who does not scroll.
        wide.evaluate("document.querySelector('[data-earlier]')?.click()")
        wait_for(wide, "!document.querySelector('[data-earlier]:disabled')")
    assert numbers(wide) == list(range(MESSAGES))
    expect(wide.locator(".pill").first).to_contain_text("created by")


def test_nothing_moves_up_to_the_very_first_row(
    site: Installation, wide: Page, person: Client, key: str
) -> None:
    # One after the other: a run that was given more while it went on would rightly move what lies below it.
    url = f"/assistant/{key}"
    begin(person, key, "number 0")
    for number in range(1, 20):
        wait_until(lambda number=number: answered(person, url, f"number {number - 1}<"), "an answer")  # type: ignore[misc]
        say(person, url, f"number {number}")
    wait_until(lambda: answered(person, url, "number 19<"), "the last answer")
    wide.goto(f"{site.url}{url}/")
    wait_for(wide, AT_END)
    while place := wide.evaluate("document.querySelector('[data-earlier]')?.dataset.before || ''"):
        seen = wide.locator(".message").nth(1).get_attribute("id")
        before = wide.evaluate(
            f"(id) => {{ document.scrollingElement.scrollTop = 150; return ({TOP_OF})(id); }}", seen
        )
        wait_for(wide, f"document.querySelector('[data-earlier]')?.dataset.before !== '{place}'")
        assert abs(wide.evaluate(TOP_OF, seen) - before) <= 2

    # Its button is gone, and so is the room that it took; not even that moved anything.
    assert numbers(wide)[0] == 0


def test_a_link_to_an_early_row_loads_it(
    site: Installation, wide: Page, conversation: str, person: Client
) -> None:
    wide.goto(f"{site.url}{conversation}/")

    wide.goto(f"{site.url}{conversation}/#run-2.0")

    expect(wide.locator(".run[aria-label='Run 2.0']")).to_be_in_viewport()
    shown = numbers(wide)
    assert shown == list(range(shown[0], MESSAGES))


def test_coming_back_to_a_page_reads_on_from_the_end(
    site: Installation, wide: Page, conversation: str
) -> None:
    wide.goto(f"{site.url}{conversation}/")
    wide.goto(f"{site.url}{conversation}/state/")
    wide.go_back()

    wait_for(wide, AT_END)
    expect(wide.locator(".message-body").last).to_be_in_viewport()


def test_a_reader_at_the_end_stays_there(
    site: Installation, wide: Page, conversation: str, person: Client
) -> None:
    wide.goto(f"{site.url}{conversation}/")
    wait_for(wide, AT_END)

    say(person, conversation, "number 77")

    expect(wide.locator(".message-body").last).to_have_text("number 77")
    expect(wide.locator(".message + .run .run-completed").last).to_be_in_viewport()
    wait_for(wide, AT_END)


def test_a_reader_further_up_keeps_the_place_and_gets_a_button(
    site: Installation, wide: Page, conversation: str, person: Client
) -> None:
    wide.goto(f"{site.url}{conversation}/")
    wait_for(wide, AT_END)
    wide.mouse.move(500, 400)
    wide.mouse.wheel(0, -400)
    wait_for(wide, f"!({AT_END})")
    place = wide.evaluate("document.scrollingElement.scrollTop")

    say(person, conversation, "number 78")

    button = wide.get_by_role("button", name="Latest")
    expect(button).to_be_visible()
    expect(button.locator("[data-latest-count]")).not_to_be_empty()
    expect(wide.locator(".message-body").last).to_have_text("number 78")
    assert abs(wide.evaluate("document.scrollingElement.scrollTop") - place) <= 2
    button.click()
    wait_for(wide, AT_END)
    expect(button).to_be_hidden()
    expect(wide.locator(".run").last).to_be_in_viewport()


def test_the_end_stays_in_sight_while_a_long_message_is_written(
    site: Installation, phone: Page, conversation: str
) -> None:
    phone.goto(f"{site.url}{conversation}/")
    wait_for(phone, AT_END)
    before = phone.locator(".dock").bounding_box()

    composer(phone).fill("\n".join("one more line" for _ in range(8)))

    wait_for(phone, AT_END)
    after = phone.locator(".dock").bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > before["height"] + 80
    expect(phone.locator(".run-foot").last).to_be_in_viewport()
    expect(phone.get_by_role("button", name="Latest")).to_be_hidden()
    # As when a phone's keyboard comes up.
    phone.set_viewport_size({"width": 390, "height": 500})
    wait_for(phone, AT_END)
    phone.evaluate("scrollTo(0, document.scrollingElement.scrollTop - 900)")
    expect(phone.get_by_role("button", name="Latest")).to_be_visible()
    phone.set_viewport_size({"width": 390, "height": 844})
    wait_for(phone, f"!({AT_END})")
