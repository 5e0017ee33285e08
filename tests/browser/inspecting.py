"""What is wrong with a page, as lists that ought to be empty."""

import json
from typing import Any

from playwright.sync_api import Page

from tests.browser.acting import script

# Roles of things that people operate; each needs a name that can be spoken.
CONTROLS = frozenset(
    {
        "button", "checkbox", "combobox", "link", "listbox", "menuitem", "option", "radio", "searchbox",
        "slider", "spinbutton", "switch", "tab", "textbox", "DisclosureTriangle",
    }
)  # fmt: skip
TOUCH = 24
"""Pixels that WCAG AA asks for."""
COMFORT = 40
"""Pixels that a finger hits without a thought."""
MAIN = (
    ".button, input, select, textarea, .example, .tabs a, .site-nav a, .tool-button, .brand, .fold, "
    ".tool > summary"
)
"""What people use most."""


def call(page: Page, name: str, *arguments: object) -> Any:
    """What one of our scripts finds in the page."""
    return page.evaluate(f"({script(name)})({', '.join(map(json.dumps, arguments))})")


def faint_texts(page: Page) -> list[str]:
    """Texts below the contrast of WCAG AA."""
    found = call(page, "contrast")
    assert found["looked"] > 0, "there is no text on the page"
    return list(found["problems"])


def small_targets(page: Page) -> list[str]:
    """What is too small for a finger."""
    return list(call(page, "targets", TOUCH, COMFORT, MAIN))


def structure(page: Page) -> list[str]:
    """Landmarks, headings and ids that are not as they should be."""
    return list(call(page, "structure"))


def sticks_out(page: Page) -> list[str]:
    """What makes the page scroll sideways, if it does."""
    return list(call(page, "overflow"))


def nameless(page: Page) -> list[str]:
    """Controls that a screen reader cannot name, by the browser's own account."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [
        f"{node['role']['value']} {json.dumps(node.get('properties', []))[:200]}"
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in CONTROLS
        and not str(node.get("name", {}).get("value", "")).strip()
    ]
