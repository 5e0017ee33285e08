"""What a page costs a browser: requests and bytes, the first time and again, and when its text is there."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, CDPSession, Page, sync_playwright

from tests.benchmarks.table import Table
from tests.support.browser import ARGUMENTS, WIDE
from tests.support.processes import Installation

AGENTS = 400
COLUMNS, ROWS = 40, 200

FILL = f"""
from entities.api import NewEntity, spawn_now
from shared_state.api import Principal
from django.contrib.auth import get_user_model
user = get_user_model().objects.get()
ada = Principal("user", user.get_username())
for n in range({AGENTS}):
    spawn_now(ada, NewEntity("assistant", f"agent-{{n}}", message=f"What is {{n}} times {{n}}?"))
"""
TABLE = f"""
from django.contrib.auth import get_user_model
from shared_state.api import Collection, NewEvent, Provenance, SharedStateSchema, unit
name = f"user:{{get_user_model().objects.get().get_username()}}"
schema = SharedStateSchema(cells=Collection(type="shared:cell"))
def row(n):
    cells = {{f"column_{{c}}": f"cell {{n}} {{c}}" for c in range({COLUMNS})}}
    return NewEvent("shared:cell", f"row-{{n:03}}", {{"key": f"row-{{n:03}}"}} | cells)
events = [row(n) for n in range({ROWS})]
def make(u):
    stream = u.create_stream("shared:wide", "shared", name, schema=schema.to_json())
    return stream.id
ident = unit(make, provenance=Provenance(name))
unit(lambda u: u.append(ident, events), provenance=Provenance(name))
"""


@dataclass
class Traffic:
    """What one page asked for. Bytes are those on the wire, headers and all."""

    requests: int = 0
    page_bytes: int = 0
    other_bytes: int = 0
    document: str = ""
    seen: set[str] = field(default_factory=set)

    def watch(self, session: CDPSession) -> None:
        """Listen from now on. What came out of the browser's own cache is no request."""
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.responseReceived", self._answered)
        session.on("Network.loadingFinished", self._finished)

    def _asked(self, event: dict[str, Any]) -> None:
        if event.get("type") == "Document":
            self.document = event["requestId"]

    def _answered(self, event: dict[str, Any]) -> None:
        response = event["response"]
        if not response.get("fromDiskCache") and not response.get("fromPrefetchCache"):
            self.seen.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self.seen or not event["encodedDataLength"]:
            return
        self.requests += 1
        if event["requestId"] == self.document:
            self.page_bytes += int(event["encodedDataLength"])
        else:
            self.other_bytes += int(event["encodedDataLength"])


def run() -> Iterator[Table]:
    """Each page, with an empty cache and again."""
    table = Table(
        "What a page costs a browser",
        ("page", "requests", "KB of page", "KB of the rest", "again: requests", "KB", "ms to DOM"),
        notes=(
            "Chromium against `make run` on this machine. KB: 1,000 bytes on the wire, with headers.",
            "`ms to DOM` is the second time: until the document is parsed.",
        ),
    )
    with tempfile.TemporaryDirectory(prefix="agents-bench-") as folder, Installation(Path(folder)) as site:
        site.quickstart()
        for name, path, prepare in (
            ("/agents/, nothing there", "/agents/", ""),
            (f"/agents/, {AGENTS} agents", "/agents/", FILL),
            ("an agent", "/assistant/agent-1/", ""),
            (f"a table, {ROWS} rows of {COLUMNS} columns", "/shared/wide/", TABLE),
        ):
            if prepare:
                site.manage("shell", "--no-imports", "-c", prepare, seconds=300)
            table.add(name, *_measured(site.url + path))
    yield table


def _measured(url: str) -> list[object]:
    """In a browser of its own, with an empty cache: the page, and the page again."""
    binary = os.environ.get("CHROMIUM") or shutil.which("chromium")
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with tempfile.TemporaryDirectory(prefix="agents-bench-") as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=binary, args=arguments, viewport=WIDE
        )
        first, again = _visit(context, url), _visit(context, url)
        context.close()
    return [
        first[0].requests, first[0].page_bytes / 1000, first[0].other_bytes / 1000,
        again[0].requests, (again[0].page_bytes + again[0].other_bytes) / 1000, again[1],
    ]  # fmt: skip


def _visit(context: BrowserContext, url: str) -> tuple[Traffic, float]:
    page: Page = context.new_page()
    traffic = Traffic()
    traffic.watch(context.new_cdp_session(page))
    answer = page.goto(url, wait_until="networkidle")
    if answer is None or not answer.ok:
        raise RuntimeError(f"{url} answered {answer and answer.status}")
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive")
    page.close()
    return traffic, float(ready)
