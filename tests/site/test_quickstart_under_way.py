"""Stopping and starting again while an agent is speaking."""

from pathlib import Path

from tests.support.client import Client
from tests.support.processes import Installation
from tests.support.waiting import wait_until

AGENT = "/assistant/poet"


def kinds(person: Client) -> list[tuple[str, str]]:
    """The agent's log: what kind of event, and its status if it has one."""
    status, answer = person.json("GET", f"/api/streams{AGENT}")
    assert status == 200, answer
    return [(event["type"], str(event["value"].get("status", ""))) for event in answer["events"]]


def test_it_stops_within_two_seconds_and_goes_on_afterwards(tmp_path: Path) -> None:
    with Installation(tmp_path, AGENTS_OFFLINE_WORDS_PER_SECOND="4") as site:
        process, person = site.quickstart(), Client(site.url)
        person.get("/admin/")
        status, answer = person.json("PUT", f"/api/agents{AGENT}", message="Tell me of the sea.")
        assert status == 201, answer
        wait_until(lambda: ("text_delta", "") in kinds(person), "the first words")

        took = process.stop()

        assert took < 2
        assert "Traceback" not in process.output
        site.environment["AGENTS_OFFLINE_WORDS_PER_SECOND"] = "0"
        site.quickstart()
        wait_until(lambda: ("run", "completed") in kinds(person), "the run to be completed")
        assert [kind for kind in kinds(person) if kind[0] == "run"] == [
            ("run", "started"),
            ("run", "completed"),
        ]
