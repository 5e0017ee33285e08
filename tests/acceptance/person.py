"""Ada at her terminal: she talks to an installation through its JSON API, and reads what its agents wrote."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.client import Client
from tests.support.waiting import wait_until

TOPIC = "should cities ban private cars?"
TIMEOUT = 90.0  # seconds for a whole debate; two cores are shared with other tests
PAGE = 500


def family(url: str) -> tuple[str, str, str]:
    """A debate and its two workers."""
    slug = url.rsplit("/", 1)[-1]
    return url, f"/worker/{slug}-pro", f"/worker/{slug}-con"


class Person:
    """One signed-in person."""

    def __init__(self, url: str, password: str = "") -> None:
        self.client = Client(url)
        self.sign_in(password)

    def sign_in(self, password: str = "") -> None:
        """Through the form, or by opening a page where local mode signs her in."""
        if password:
            self.client.sign_in("ada", password)
        self.client.get("/agents/new/assistant/")  # sets the token that writes need

    def start(self, type: str, slug: str, message: str) -> str:
        """Make an agent. Returns its address."""
        status, answer = self.client.json("PUT", f"/api/agents/{type}/{slug}", message=message)
        assert status == 201, answer
        return f"/{type}/{slug}"

    def debate(self, slug: str, rounds: int = 2) -> str:
        """Open a debate."""
        return self.start("debate", slug, f"Debate in {rounds} rounds: {TOPIC}")

    def tell(self, url: str, message: str) -> None:
        """Send a message."""
        status, answer = self.client.json(
            "POST", f"/api/agents{url}/messages", payload=message, key=uuid.uuid4().hex
        )
        assert status in (200, 201, 202), answer

    def events(self, path: str, *types: str) -> list[dict[str, Any]]:
        """The log of a stream; nothing if it is not there yet."""
        chosen = f"&types={','.join(types)}" if types else ""
        found: list[dict[str, Any]] = []
        after = "0000000000000000_0000000000000000"
        while True:
            where = f"/api/streams/{path.removeprefix('/')}?after={after}&limit={PAGE}{chosen}"
            status, page = self.client.json("GET", where)
            if status == 404:
                return []
            assert status == 200, page
            found += page["events"]
            if not page["more"]:
                return found
            after = page["next"]

    def rows(self, path: str, type: str) -> dict[str, dict[str, Any]]:
        """What the events of a type amount to, by key."""
        folded: dict[str, dict[str, Any]] = {}
        for event in self.events(path, type):
            if event["headers"]["operation"] == "delete":
                del folded[event["key"]]
            else:
                folded[event["key"]] = event["value"]
        return folded

    def texts(self, url: str) -> list[str]:
        """What an agent has said."""
        return [row["content"] for row in self.rows(url, "text").values() if row["status"] == "completed"]

    def wait(self, condition: Callable[[], object], what: str, seconds: float = TIMEOUT) -> float:
        """Wait for something in the logs. Returns how long it took, in seconds."""
        began = time.monotonic()
        wait_until(condition, what, seconds)
        return time.monotonic() - began

    def arguments(self, url: str) -> list[str]:
        """The keys of the arguments that were written so far."""
        return list(self.rows(f"shared:debate-{url}", "shared:argument"))

    def _is_done(self, url: str) -> bool:
        """Whether a debate has its ruling."""
        status = self.rows(url, "state:status").get("current", {})
        return status.get("value") == "done"

    def activity(self, url: str) -> int:
        """How many events a debate's agents have written."""
        return sum(len(self.events(agent)) for agent in family(url))

    def settle(self, url: str) -> None:
        """Wait until a debate has its ruling and nobody runs any more."""

        def over() -> bool:
            runs = [run for agent in family(url) for run in self.rows(agent, "run").values()]
            return self._is_done(url) and all(run["status"] != "started" for run in runs)

        self.wait(over, "the ruling and the end of all runs")

    def require_sound(self, url: str, rounds: int = 2) -> None:
        """A debate that went through anything must look like one that went through nothing."""
        expected = sorted(f"{side}-{number}" for side in ("pro", "con") for number in range(1, rounds + 1))
        written = self.events(f"shared:debate-{url}", "shared:argument")
        assert sorted(event["key"] for event in written) == expected
        for agent in family(url):
            assert {run["status"] for run in self.rows(agent, "run").values()} == {"completed"}, agent
            assert {text["status"] for text in self.rows(agent, "text").values()} == {"completed"}, agent
            calls = self.events(agent, "tool_call")
            assert {row["status"] for row in self.rows(agent, "tool_call").values()} <= {"completed"}, agent
            for type, events in (("tool_call", calls), ("step", self.events(agent, "step"))):
                ends = Counter(event["key"] for event in events if event["value"]["status"] == "completed")
                assert set(ends.values()) == {1}, (agent, type, ends)
            assert self.rows(agent, "error") == {}, agent
