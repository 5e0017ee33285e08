"""A site with a past: made over HTTP, as fast as the offline model can, and looked at by many tests."""

import re
from dataclasses import dataclass

from tests.support.client import Client
from tests.support.processes import Installation
from tests.support.waiting import wait_until

TOPIC = "Debate: should cities ban private cars?"
CODE = "How do I write my own agent?"


@dataclass(frozen=True)
class World:
    """The addresses of what is there."""

    site: Installation
    debater: str
    """The assistant that was asked for the debate."""
    debate: str
    """The moderator."""
    chat: str
    """An assistant that showed a program, and keeps a note."""

    @property
    def shared(self) -> str:
        """The page of the debate's shared state."""
        return f"/shared/debate-{self.debate}/"

    @property
    def pages(self) -> dict[str, str]:
        """Every page that a person can come to, by name."""
        return {
            "home": "/",
            "agents-found": "/agents/?q=cars",
            "agent-new": "/agents/new/",
            "agent-new-form": "/agents/new/assistant/",
            "agent-chat": f"{self.chat}/",
            "agent-moderator": f"{self.debate}/",
            "agent-worker": f"/worker/{self.debate.removeprefix('/debate/')}-pro/",
            "agent-state": f"{self.debate}/state/",
            "agent-events": f"{self.debate}/events/",
            "agent-board": f"{self.debate}/board/0/",
            "shared-list": "/shared/",
            "shared-table": self.shared,
            "shared-board": f"{self.shared}?view=board",
            "not-found": "/nowhere/nothing/",
            "admin": "/admin/",
        }


def make_world(site: Installation) -> World:
    """Chat, and hold a debate to its end."""
    person = Client(site.url)
    person.get("/")
    begin(person, "debater", TOPIC)
    begin(person, "chat", CODE)
    say(person, "/assistant/chat", "Remember that my cat is called Miso")
    debate = "/debate/debater-debate-1"
    wait_until(lambda: 'data-phase="done"' in person.get(f"{debate}/board/0/")[1], "the ruling", 60)
    # The title comes after the run; everything else is over by then.
    everybody = ("/assistant/debater", debate, "/assistant/chat")
    wait_until(lambda: all(resting(person, url) for url in everybody), "all agents to rest", 30)
    return World(site, "/assistant/debater", debate, "/assistant/chat")


def begin(person: Client, key: str, message: str) -> None:
    """Start an assistant with a first message, as the form of the home page does."""
    status, body = person.post("/agents/chat/", key=key, message=message)
    assert status == 200, body[:500]


def say(person: Client, url: str, message: str) -> None:
    """Send a message without a script, as the composer's form does."""
    status, body = person.post(f"{url}/", message=message, key="")
    assert status == 200, body[:500]


def resting(person: Client, url: str) -> bool:
    """Whether an agent and everybody in its family is idle."""
    _, body = person.get(f"{url}/")
    states = re.findall(r'data-agent="[^"]*"\s+data-status="(\w+)"', body)
    return bool(states) and set(states) == {"idle"}
