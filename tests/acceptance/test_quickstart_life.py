"""One process for everything: it may be stopped in the middle of a sentence, or killed, and goes on."""

from __future__ import annotations

import signal

from tests.acceptance.person import Person
from tests.support.processes import Installation

STORY = "Please tell me a long story about the sea, a ship and its captain."


def statuses(person: Person, url: str) -> list[str]:
    """How the runs of an agent stand, the first one first."""
    return [run["status"] for run in person.rows(url, "run").values()]


def test_ctrl_c_stops_within_two_seconds_while_a_model_speaks(installation: Installation) -> None:
    installation.environment["AGENTS_OFFLINE_WORDS_PER_SECOND"] = "2"
    server = installation.quickstart()
    ada = Person(installation.url)
    url = ada.start("assistant", "storyteller", STORY)
    ada.wait(lambda: ada.events(url, "text_delta"), "the first words")

    assert server.stop(signal.SIGINT) < 2

    installation.environment["AGENTS_OFFLINE_WORDS_PER_SECOND"] = "0"
    installation.quickstart()
    ada = Person(installation.url)
    ada.wait(lambda: ada.texts(url), "the whole answer", 15)
    ada.wait(lambda: "started" not in statuses(ada, url), "the end of the run", 15)
    assert statuses(ada, url) == ["completed"]
    assert ada.rows(url, "error") == {}


def test_a_debate_goes_on_after_a_kill(installation: Installation) -> None:
    installation.environment["AGENTS_OFFLINE_WORDS_PER_SECOND"] = "60"
    server = installation.quickstart()
    ada = Person(installation.url)
    url = ada.debate("killed")
    ada.wait(lambda: ada.arguments(url), "the first argument")

    server.kill()
    assert not server.running
    installation.quickstart()

    ada = Person(installation.url)
    ada.settle(url)
    ada.require_sound(url)
    installation.consult_the_doctor()
